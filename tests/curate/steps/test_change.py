"""Steps that change rows: clean, budget."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.schema import canonical_schema
from curate.steps.budget import Budget
from curate.steps.clean import Clean
from curate.steps.columns import with_columns
from curate.steps.step import Surroundings
from curate.steps.tokens import counting
from tests.curate.steps.scaffold import frame, row
from tests.scaffold import Overlay
from validators.engine import CheckOptions, check
from validators.errors import UsageFault

NOWHERE = Surroundings(Path("/nonexistent"))
Project = Callable[[Overlay], Path]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("The caf\u00c3\u00a9 is closed.", "The caf\u00e9 is closed."),
        ("It\u00e2\u20ac\u2122s late.", "It\u2019s late."),
        ("bell\x07 and\x1b[31m red", "bell and red"),
        ("cafe\u0301", "caf\u00e9"),
        ("plain \u2018quotes\u2019 stay", "plain \u2018quotes\u2019 stay"),
        ("&lt;image&gt; \u00e9", "&lt;image&gt; \u00e9"),
        ("&lt;image&gt;\x07", "&lt;image&gt;"),
        ("\u4e2d\u6587\uff0c\u4e0d\u53d8\u3002", "\u4e2d\u6587\uff0c\u4e0d\u53d8\u3002"),
    ],
)
def test_clean_gives_the_text_that_was_meant(written: str, meant: str) -> None:
    passed = Clean()(frame([row(0), row(1, written), row(2)]), NOWHERE)
    assert [messages[1]["content"] for messages in passed.rows["messages"].to_list()] == ["Yes.", meant, "Yes."]
    assert [note.row for note in passed.notes] == ([1] if written != meant else [])
    assert passed.rows.schema == frame([row(0)]).schema


@given(st.lists(st.text(max_size=12), min_size=1, max_size=4))
def test_clean_twice_is_clean_once_and_keeps_every_row(answers: list[str]) -> None:
    rows = frame([row(number, answer.encode(errors="ignore").decode()) for number, answer in enumerate(answers)])
    once = Clean()(rows, NOWHERE).rows
    assert once["id"].to_list() == rows["id"].to_list()
    assert not Clean()(once, NOWHERE).notes


def talk(number: int, *lengths: int, **media: list[str]) -> dict[str, Any]:
    """A conversation with a system message and an answer of so many words each time."""
    value = row(number, **media)
    tag = "".join(f"<{kind[:-1]}>" * len(paths) for kind, paths in media.items())
    turns = [{"role": "system", "content": "Be brief."}]
    for place, words in enumerate(lengths):
        turns.append({"role": "user", "content": f"{tag if place == len(lengths) - 1 else ''}Question {place}?"})
        turns.append({"role": "assistant", "content": " ".join(["word"] * words)})
    return value | {"messages": turns}


@pytest.fixture
def around(project: Project) -> Surroundings:
    train = project({"train.yaml": "cutoff_len: 450\n"})
    return Surroundings(Path.cwd(), counting(train, Path.cwd()))


def tokens(rows: pl.DataFrame, around: Surroundings) -> list[int]:
    return with_columns(rows, ["tokens"], around)["tokens"].to_list()


def test_tokens_are_those_of_the_check(around: Surroundings, project: Project) -> None:
    """The same row as a dataset of its own gives the same count."""
    rows = [talk(0, 5), talk(1, 20, images=["cat.jpg"])]
    counted = tokens(frame(rows), around)
    data = [{key: value[key] for key in ("messages", "images")} for value in rows]
    train = project({"data.json": json.dumps(data), "train.yaml": "cutoff_len: 450\n"})
    report = check(train, CheckOptions(keep_rows=True))
    predictions = report.datasets[0].predictions
    assert predictions is not None and counted == [predictions[number].tokens for number in range(2)]


def test_a_long_row_is_dropped_or_split_between_turns(around: Surroundings) -> None:
    """All exchanges are kept, in parts that fit; each keeps the system message, and media stay with their tags."""
    rows = frame([talk(0, 3), talk(1, 30, 30, 30, images=["cat.jpg"]), talk(2, 3)])
    assert tokens(rows, around)[1] > 450 and max(tokens(rows, around)[::2]) <= 450
    dropped = Budget(("drop",))(rows, around)
    assert dropped.rows["id"].to_list() == ["0000", "0002"] and [note.action for note in dropped.notes] == ["dropped"]
    split = Budget(("split",))(rows, around)
    parts = split.rows.filter(pl.col("row") == 1).to_dicts()
    assert split.rows["id"].to_list()[0] == "0000" and split.rows["id"].to_list()[-1] == "0002"
    assert [part["id"] for part in parts] == ["0001", *(f"0001-{number}" for number in range(2, len(parts) + 1))]
    assert len(parts) > 1 and max(tokens(split.rows, around)) <= 450
    assert all(part["messages"][0]["role"] == "system" for part in parts)
    spoken = [message for part in parts for message in part["messages"][1:]]
    assert spoken == rows.to_dicts()[1]["messages"][1:]
    assert [part["images"] for part in parts] == [[]] * (len(parts) - 1) + [["cat.jpg"]]
    assert [note.action for note in split.notes] == ["changed"]


def test_an_exchange_that_is_too_long_alone_is_left_out_and_said(around: Surroundings) -> None:
    split = Budget(("split",))(frame([talk(0, 5, 500, 5)]), around)
    said = [message["content"] for part in split.rows.to_dicts() for message in part["messages"]]
    assert said.count("Question 0?") == said.count("Question 2?") == 1 and "Question 1?" not in said
    assert "1 of its exchanges left out" in split.notes[0].reason
    alone = Budget(("split",))(frame([talk(0, 500)]), around)
    assert alone.rows.is_empty() and alone.notes[0].action == "dropped"


def test_counting_needs_a_template_and_a_tokenizer(project: Project) -> None:
    """And a recipe that says what it trains with."""
    with pytest.raises(UsageFault, match="trainer:"):
        Budget()(frame([row(0)]), NOWHERE)
    with pytest.raises(UsageFault, match="template"):
        counting(project({"train.yaml": "template: no_such\n"}), Path.cwd())


def test_canonical_columns_are_what_steps_get() -> None:
    assert frame([row(0)]).columns == ["row", *canonical_schema().names]
