"""How steps run over files: batches, gathered rows, what is held and what is let go of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaError

import curate.mapped
from curate.schema import canonical_schema
from curate.steps import run
from curate.steps.clean import Clean
from curate.steps.dedup import Dedup
from curate.steps.filter import parse
from curate.steps.run import Named, Sink, Table, View
from curate.steps.sample import Sample, Shuffle
from curate.steps.split import Split
from curate.steps.step import Note, Surroundings
from tests.curate.steps.scaffold import frame, mapped, row, run_all


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,000 rows in batches of many sizes."""
    path = tmp_path_factory.mktemp("run") / "rows.arrow"
    rows = [row(number, f"Answer {number}." if number % 5 else "Itâ€™s.") for number in range(3000)]
    sink = Sink(path)
    for first, last in ((0, 1000), (1000, 1001), (1001, 1500), (1500, 1507), (1507, 2500), (2500, 3000)):
        sink.write(frame(rows[first:last]))
    sink.close()
    return path


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 2999), max_size=2500), st.integers(1, 3))
def test_rows_are_gathered_in_any_order_and_more_than_once(stored: Path, wanted: list[int], batches: int) -> None:
    """However many are gathered at a time, and through a view of some of them."""
    table = Table(stored)
    table.stretch = batches * run.BATCH_ROWS
    rows = pl.Series(wanted, dtype=pl.UInt32)
    found = list(table.take(rows))
    assert [number for part in found for number in part["row"]] == wanted
    assert [each for part in found for each in part["id"]] == [f"{number:04x}" for number in wanted]
    view = View(stored, rows)
    seen = list(view.batches(table))
    assert [number for part in seen for number in part["row"]] == list(range(len(wanted)))
    places = pl.Series(np.arange(len(wanted))[::-2].copy(), dtype=pl.UInt32)
    again = list(view.take(table, places))
    assert [(number, each) for part in again for number, each in part.select("row", "id").iter_rows()] == [
        (place, f"{wanted[place]:04x}") for place in places
    ]
    table.close()


def outcome(stored: Path, folder: Path) -> tuple[dict[str, bytes], list[tuple[str, str, Note]], list[object]]:
    """The files, the ledger and the counts of many steps."""
    folder.mkdir()
    told: list[tuple[str, str, Note]] = []
    steps = [
        Named("sample", Sample(rows=2700, seed=2)),
        Named("filter", parse("x", "answer <> 'Answer 7.'")),
        Named("clean", Clean()),
        Named("filter", parse("x", "answer NOT LIKE '%99.'")),
        Named("shuffle", Shuffle(3)),
        Named("dedup", Dedup(by="answer")),
        Named("split", Split((("eval", 0.1),))),
    ]
    outputs, counts = run_all(stored, steps, Surroundings(folder), folder, lambda *line: told.append(line))
    files = {name: path.read_bytes() for name, path in outputs.items()}
    return files, told, [(each.step, each.before, each.after, each.changed, each.reasons) for each in counts]


def test_how_many_batches_steps_see_makes_no_difference(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor how many rows are gathered at a time: the same bytes, the same ledger in the same order."""
    whole = outcome(stored, tmp_path / "whole")
    assert len(whole[1]) > 1000 and {step for step, _, _ in whole[1]} == {"sample", "filter", "clean", "dedup"}
    monkeypatch.setattr(run, "BATCHES", 1)
    monkeypatch.setattr(run, "MOST_BATCHES", 1)
    assert outcome(stored, tmp_path / "one") == whole


def test_steps_that_choose_write_once(stored: Path, tmp_path: Path) -> None:
    """However many follow one another."""
    outcome(stored, tmp_path / "made")
    names = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert names == ["made-.arrow", "made-eval.arrow", "pass-1.arrow"], "the second pass changes rows"


def test_a_batch_of_which_nothing_is_left_is_not_written(stored: Path, tmp_path: Path) -> None:
    """One row of the source is a batch of its own."""
    steps = [Named("filter", parse("x", "id <> '03e8'"))]
    outputs, counts = run_all(stored, steps, Surroundings(tmp_path), tmp_path, lambda *line: None)
    table = Table(outputs[""])
    assert [lot.num_rows for lot in table.file.lots] == [1000, 499, 7, 993, 500] and counts[0].after == 2999


def test_a_breach_of_the_schema_is_found_in_any_batch(tmp_path: Path) -> None:
    """At the latest when the file is finished."""
    sink = Sink(tmp_path / "rows.arrow")
    for number in range(5):
        sink.write(frame([row(number)]))
    sink.write(frame([row(5, images=["../a.jpg"])]))
    with pytest.raises(SchemaError, match="below the root"):
        sink.close()


def in_order(table: Table) -> int:
    """Every row once."""
    return sum(
        int(rows["messages"].list.eval(pl.element().struct.field("content").str.len_bytes()).list.sum().sum())
        for rows in table.batches()
    )


def gathered(table: Table) -> int:
    """Every row once, the last first."""
    rows = pl.int_range(len(table), dtype=pl.UInt32, eager=True).reverse()
    return sum(part.estimated_size() for part in table.take(rows))


@pytest.mark.parametrize("reading", [in_order, gathered])
def test_a_file_that_was_read_is_not_held(
    tmp_path: Path, reading: Callable[[Table], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages of a mapped file count as the process's memory until it lets go of them."""
    held = 4 << 20
    for module in (curate.mapped, run):
        monkeypatch.setattr(module, "HELD", held)
    path = tmp_path / "large.arrow"
    batch = pa.RecordBatch.from_pylist([row(number, "x" * 40_000) for number in range(100)], schema=canonical_schema())
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, batch.schema) as writer:
        for _ in range(12):
            writer.write_batch(batch)
    size = path.stat().st_size
    table = Table(path)
    before = mapped()
    assert reading(table) > 0.9 * size > 8 * held
    assert mapped() - before < 3 * held
