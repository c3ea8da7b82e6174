"""Rows written by columns, and as text, are what one row at a time would give."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.build import LedgerEntry, Row, identify
from curate.ingest.raw import Turn
from curate.mapped import Mapped
from curate.schema import canonical_schema
from curate.writers.arrow import ArrowWriter, batch_of, rows_in, save_to_disk
from curate.writers.form import Form
from curate.writers.sharegpt import sharegpt_row, sharegpt_text
from tests.curate.steps.scaffold import mapped
from validators.model import MediaKind, Role

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TURNS = st.lists(st.builds(Turn, st.sampled_from(Role), TEXT), max_size=3).map(tuple)
MAYBE = st.none() | TEXT


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """A row with media of all kinds in their order."""
    media = tuple((kind, path) for kind in MediaKind for path in draw(st.lists(TEXT, max_size=2)))
    return Row(draw(TEXT), draw(TURNS), media, draw(TEXT), draw(MAYBE), draw(MAYBE), draw(MAYBE))


def plain(row: Row) -> dict[str, object]:
    """The canonical row, spelt out."""
    return {
        "id": row.id,
        "messages": [{"role": turn.role, "content": turn.content} for turn in row.turns],
        **{kind.column: row.paths(kind) for kind in MediaKind},
        "system": None,
        "tools": row.tools,
        "split": row.split,
        "source": row.source,
        "meta": row.meta,
    }


@settings(deadline=None, max_examples=50)
@given(st.lists(rows(), max_size=4))
def test_a_batch_holds_the_rows_as_they_are(given_rows: list[Row]) -> None:
    batch = batch_of(given_rows, canonical_schema())
    expected = pa.RecordBatch.from_pylist([plain(row) for row in given_rows], schema=canonical_schema())
    assert batch.equals(expected) and batch.serialize().equals(expected.serialize())
    assert list(rows_in(batch)) == given_rows
    assert list(rows_in(batch.slice(1))) == given_rows[1:]


@settings(deadline=None, max_examples=50)
@given(
    given_rows=st.lists(rows(), min_size=1, max_size=3), tools=st.booleans(), kinds=st.sets(st.sampled_from(MediaKind))
)
def test_the_text_is_that_of_json(given_rows: list[Row], tools: bool, kinds: set[MediaKind]) -> None:
    form = Form(tuple(kind for kind in MediaKind if kind in kinds), tools)
    values = [sharegpt_row(row, form) for row in given_rows]
    text = "[\n" + ",\n".join(map(sharegpt_text, values)) + "\n]"
    assert text == json.dumps(values, ensure_ascii=False, indent=2)


@settings(deadline=None, max_examples=50)
@given(rows(), st.booleans())
def test_an_id_is_the_hash_of_json(row: Row, half: bool) -> None:
    """Of all that it says and shows, half of a surrogate pair too; builds of earlier versions have the same ids."""
    turns = (*row.turns, Turn("user", "\ud800")) if half else row.turns
    content: list[object] = [[(turn.role, turn.content) for turn in turns], row.media]
    if row.tools is not None:
        content.append(row.tools)
    assert identify(turns, row.media, row.tools) == hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def test_equal_rows_are_counted_together() -> None:
    """Whatever row each is equal to: a build of a million rows says so in one line."""
    entries = [LedgerEntry("data", "a", 3, "x", "dropped", f"the same row as a:{number}") for number in range(3)]
    assert {entry.counted for entry in entries} == {"the same row as an earlier one"}
    assert LedgerEntry("data", "a", 3, None, "dropped", "no list of messages").counted == "no list of messages"


def test_a_dataset_folder_is_written_shard_by_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one shard was written from is not held for the next."""
    monkeypatch.setattr(datasets.config, "MAX_SHARD_SIZE", "4MB")
    written = [Row(f"{number:04x}", (Turn("user", f"{number}" * 5000),), (), "s") for number in range(2000)]
    with ArrowWriter(tmp_path / "stream") as arrow:
        for row in written:
            arrow.write(row)
    size = (tmp_path / "stream").stat().st_size
    released: list[int] = []
    let_go = Mapped.let_go
    monkeypatch.setattr(Mapped, "let_go", lambda self: (released.append(mapped()), let_go(self)))
    before = mapped()
    save_to_disk(tmp_path / "stream", tmp_path / "saved")
    shards = len(list((tmp_path / "saved").glob("data-*.arrow")))
    assert shards > 5 and len(released) == shards
    assert max(released) - before < size / 2
    monkeypatch.undo()
    again = datasets.load_from_disk(str(tmp_path / "saved"))
    assert again["id"] == [row.id for row in written] and again[-1]["messages"][0]["content"] == "1999" * 5000
