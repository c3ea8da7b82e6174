"""Whatever is wrong with conversations: mending never makes a row worse, and it comes to an end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.fixes.json_rows import text_rows
from tests.curate.fixes.mended import mended
from tests.rules.test_laws import Project
from tests.scaffold import TAGS, lay_out
from validators.engine import CheckOptions, check
from validators.model import Outcome
from validators.report.model import Report

OUTCOMES = list(Outcome)
TEXTS = ["Hi", "<image>", "<image>\nWhat?", "<image><image>", "<|image_pad|>", "<video>", "", "{{image}}", "é"]
ROLES = ["user", "assistant", "user", "assistant", "human", "gpt", "system", "tool", "Bot", "x", None, 3]
PATHS = ["cat.jpg", "/x/cat.jpg", "DOG.jpg", "no.jpg", "", "turned.jpg", "cut.jpg"]
texts = st.sampled_from(TEXTS)
contents = st.sampled_from([None, 5, 1.5, [{"type": "text", "text": "x"}], [{"type": "image"}], {"a": 1}])
turns = st.fixed_dictionaries({"role": st.sampled_from(ROLES), "content": texts | texts | texts | contents})
paths = st.sampled_from(PATHS) | st.sampled_from([None, {"path": "cat.jpg"}, ["cat.jpg"], 7])
rows = st.fixed_dictionaries(
    {"messages": st.lists(turns, max_size=5) | st.sampled_from(["[]", None, "x", {"role": "user"}])},
    optional={
        "images": st.lists(paths, max_size=3) | paths,
        "videos": st.lists(st.sampled_from(["clip.mp4", "x/clip.mp4", ["cat.jpg", "x/dog.jpg"]]), max_size=2),
        "id": st.sampled_from([1, "a", 2.5, None, 10**30]),
    },
)
STYLES: dict[str, dict[str, object]] = {"plain": {}, "pretty": {"indent": 2}, "tight": {"separators": (",", ":")}}


def outcomes(report: Report) -> dict[int, Outcome]:
    (dataset,) = report.datasets
    return {row: item.outcome for row, item in (dataset.predictions or {}).items()}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.lists(rows, min_size=1, max_size=4), style=st.sampled_from(list(STYLES)), unsafe=st.booleans())
def test_no_row_is_worse_off_and_a_second_mending_changes_nothing(
    data: list[dict[str, object]], style: str, unsafe: bool, project: Project
) -> None:
    folder = Path.cwd() if Path("data.json").exists() else project({}).parent
    for file in folder.glob("data.quarantine.jsonl"):
        file.unlink()
    columns = {key: key for key in ("messages", "images", "videos") if any(key in row for row in data)}
    entry = {"file_name": "data.json", "formatting": "sharegpt", "columns": columns, "tags": TAGS}
    sound = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}]}
    text = json.dumps([*data, sound], **STYLES[style])  # type: ignore[arg-type]
    target = lay_out(folder, {"data.json": text, "dataset_info.json": json.dumps({"data": entry})})
    options = replace(CheckOptions(), keep_rows=True)
    before = outcomes(check(target, options))
    mended(target, unsafe)
    after = outcomes(check(target, options))
    assert before.keys() == after.keys()
    assert sum(map(reaches, after.values())) >= sum(map(reaches, before.values()))
    for row, outcome in after.items():
        assert OUTCOMES.index(outcome) <= OUTCOMES.index(before[row]), (row, before[row], outcome)
    content = (folder / "data.json").read_bytes()
    mended(target, unsafe)
    assert (folder / "data.json").read_bytes() == content
    moved = mended(target, unsafe, quarantine=True).moved
    left = [piece for piece in text_rows(folder / "data.json") if piece.row is not None]
    assert len(left) + len(moved) == len(data) + 1


ENTRY = {"file_name": "data.json", "formatting": "sharegpt"}
COLUMNS = [
    {"messages": "messages", "image": "images"},
    {"messages": "messages"},
    {"messages": "message", "images": "pics"},
    {"images": "images", "photos": "images"},
]
SOME_TAGS = [
    {},
    {"role_tag": "role", "content_tag": "content"},
    {"role_tag": "from", "content_tag": "text", "user_tag": "human"},
    {"user_tag": "user", "sys_tag": "system", "bot": "x"},
]
LISTS = [
    [("user", "<image>Hi"), ("assistant", "Yes.")],
    [("human", "Hi"), ("gpt", "Yes.")],
    [("system", "Be."), ("user", "Hi"), ("assistant", "Yes.")],
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    columns=st.none() | st.sampled_from(COLUMNS),
    tags=st.none() | st.sampled_from(SOME_TAGS),
    talks=st.lists(st.tuples(st.sampled_from(LISTS), st.sampled_from(["cat.jpg", "no.jpg"])), min_size=1, max_size=3),
    unsafe=st.booleans(),
)
def test_entries_never_cost_rows(
    columns: object, tags: object, talks: list[tuple[list[tuple[str, str]], str]], unsafe: bool, project: Project
) -> None:
    folder = Path.cwd() if Path("data.json").exists() else project({}).parent
    rows = [
        {"messages": [{"role": role, "content": text} for role, text in talk], "images": [path]} for talk, path in talks
    ]
    entry = ENTRY | {key: value for key, value in (("columns", columns), ("tags", tags)) if value is not None}
    target = lay_out(
        folder, {"data.json": json.dumps(rows), "dataset_info.json": json.dumps({"data": entry}, indent=1)}
    )
    before = check(target).rows_reaching
    mended(target, unsafe)
    assert check(target).rows_reaching >= before
    content = [(folder / name).read_bytes() for name in ("data.json", "dataset_info.json")]
    mended(target, unsafe)
    assert content == [(folder / name).read_bytes() for name in ("data.json", "dataset_info.json")]


def reaches(outcome: Outcome) -> bool:
    return outcome in (Outcome.TRAINED, Outcome.ALTERED, Outcome.TRUNCATED)
