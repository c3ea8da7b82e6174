"""Repeated and leaked rows, held against a count of all pairs."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scaffold import TAGS, Overlay
from validators.engine import CheckOptions, check
from validators.rules.rule import Depth
from validators.traces.gather import Gather
from validators.traces.model import Traces

Project = Callable[[Overlay], Path]
Row = dict[str, object]
Key = tuple[str, str, tuple[str, ...]]
NAMES = ("data", "more", "held")


def rows_of(rng: random.Random, count: int) -> list[Row]:
    """Rows of few words, so that many are alike in one thing or another."""
    rows: list[Row] = []
    for _ in range(count):
        images = [rng.choice(["cat.jpg", "dog.jpg", "./cat.jpg"]) for _ in range(rng.randrange(3))]
        tags = "<image>" * len(images)
        question = rng.choice([f"{tags}What?", f"What? {tags}", f"{tags}Who?"])
        turns = [("user", question), ("assistant", rng.choice(["Yes", "Yes.", "No", "Both " * 9]))]
        if rng.random() < 0.3:
            turns += [("user", rng.choice(["Who?", "What?"])), ("assistant", rng.choice(["Yes", "No"]))]
        rows.append({"messages": [{"role": role, "content": text} for role, text in turns], "images": images})
    return rows


def key_of(row: Row) -> Key:
    """What makes a row the same as another."""
    texts = [turn["content"].replace("<image>", "").strip() for turn in row["messages"]]  # type: ignore[attr-defined]
    images = tuple(path.removeprefix("./") for path in row["images"])  # type: ignore[attr-defined]
    answers = [text.removesuffix(".") for text in texts[1::2]]
    return "\0".join(texts[::2]), "\0".join(answers), images


def expected_of(data: dict[str, list[Row]]) -> set[tuple[str, str, int]]:
    """Codes, files and rows, by comparing every row with every earlier one."""
    found = set()
    keys = {name: [key_of(row) for row in rows] for name, rows in data.items()}
    for name in ("data", "more"):
        for number, key in enumerate(keys[name]):
            if key in keys[name][:number]:
                found.add(("DUP301", name, number))
            elif name == "more" and key in keys["data"]:
                found.add(("DUP302", name, number))
    first: dict[tuple[str, tuple[str, ...]], str] = {}
    seen = set()
    for name in ("data", "more"):
        for number, (question, answer, images) in enumerate(keys[name]):
            if not images or len(answer.replace("\0", "")) > 32 or (question, answer, images) in seen:
                continue
            seen.add((question, answer, images))
            if first.setdefault((question, images), answer) != answer:
                found.add(("DUP303", name, number))
    learned = [*keys["data"], *keys["more"]]
    for number, key in enumerate(keys["held"]):
        if key in learned:
            found.add(("LEK301", "held", number))
        elif set(key[2]) & {image for _, _, images in learned for image in images}:
            found.add(("LEK302", "held", number))
    return found


def project_of(project: Project, data: dict[str, list[Row]]) -> Path:
    """Two datasets to train on and one to evaluate with."""
    columns = {"messages": "messages", "images": "images"}
    info = {
        name: {"file_name": f"{name}.json", "formatting": "sharegpt", "columns": columns, "tags": TAGS} for name in data
    }
    overlay = {f"{name}.json": json.dumps(rows) for name, rows in data.items()}
    return project(
        overlay | {"dataset_info.json": json.dumps(info), "train.yaml": "{dataset: 'data,more', eval_dataset: held}"}
    )


@pytest.mark.parametrize("seed", range(6))
def test_what_is_planted_is_found_and_nothing_else(
    seed: int, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each finding of these rules, and no other, for any size of batch."""
    monkeypatch.setattr("validators.traces.words.MOST", 2)  # each row by itself, however many there are
    rng = random.Random(seed)
    data = {name: rows_of(rng, rng.randrange(12, 40)) for name in NAMES}
    train = project_of(project, data)
    expected = expected_of(data)
    assert {code for code, _, _ in expected} >= {"DUP301", "DUP303"}
    rules = {"DUP301", "DUP302", "DUP303", "LEK301", "LEK302"}
    for size in (1, 7, 2048):
        report = check(train, CheckOptions(depth=Depth.SHAPE, batch_rows=size))
        found = [(item.code, item.dataset, item.place.row) for item in report.findings if item.code in rules]
        assert len(found) == len(set(found))
        assert set(found) == expected


def test_distinct_rows_are_never_found(project: Project) -> None:
    """A thousand rows that differ in one character each."""
    rows: list[Row] = [
        {"messages": [{"role": "user", "content": f"What is {number}?"}, {"role": "assistant", "content": f"{number}"}]}
        for number in range(1000)
    ]
    report = check(project({"data.json": json.dumps(rows)}), CheckOptions(depth=Depth.SHAPE))
    assert report.findings == ()


def test_most_rows_of_a_dataset_are_said_once(project: Project) -> None:
    """A dataset that is trained on whole is one finding, with its number of rows."""
    rows = [
        {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "Yes"}]} for n in range(9)
    ]
    data = {"data": rows, "more": [], "held": rows}
    data["more"] = [{"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "No"}]}]
    for row in (row for part in data.values() for row in part):
        row["images"] = []
    found = [item for item in check(project_of(project, data)).findings if item.code == "LEK301"]
    assert [(item.dataset, item.place.row) for item in found] == [("held", None)]
    assert found[0].found.startswith("9 of 9 rows")


def test_a_row_costs_at_most_64_bytes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row with one picture, as its tables hold it; the text does not count."""
    kept: list[Traces] = []
    traces_of = Gather.traces
    monkeypatch.setattr(Gather, "traces", lambda self: kept.append(traces_of(self)) or kept[0])
    rows = [
        {
            "messages": [{"role": "user", "content": f"<image>{n}?"}, {"role": "assistant", "content": f"{n} " * 50}],
            "images": ["cat.jpg"],
        }
        for n in range(3000)
    ]
    check(project({"data.json": json.dumps(rows)}))
    assert len(kept[0].rows) == len(kept[0].media) == 3000
    assert kept[0].bytes_held() <= 64 * 3000
