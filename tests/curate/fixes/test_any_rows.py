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


def reaches(outcome: Outcome) -> bool:
    return outcome in (Outcome.TRAINED, Outcome.ALTERED, Outcome.TRUNCATED)
