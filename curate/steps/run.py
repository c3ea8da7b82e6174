"""Steps over a dataset on disk: batches stream, and only row numbers and named columns are held for the whole."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from curate.mapped import HELD, Mapped
from curate.schema import Checker, canonical_schema
from curate.steps.columns import with_columns
from curate.steps.step import Chosen, CompareStep, Note, Passed, Step, Surroundings

BATCH_ROWS = 1000
MOST_BATCHES = 64  # gathered at a time
BATCHES = 8  # that steps see at a time


@dataclass(slots=True)
class StepCount:
    """A line of the ledger's summary: rows before and after a step, and what it did by reason."""

    step: str
    before: int = 0
    after: int = 0
    changed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Named:
    """A step and the name that the recipe gives it."""

    name: str
    step: Step


Ledger = Callable[[str, str, Note], None]
"""Told the step's name, the row's id and the note."""


class Table:
    """Rows in an Arrow stream that is mapped into memory."""

    def __init__(self, path: Path, columns: Sequence[str] = ()) -> None:
        """columns: those that are read; all where none is named."""
        self.file = Mapped(path)
        self.schema = canonical_schema()
        if columns:
            self.schema = pa.schema([self.schema.field(name) for name in columns])
            self.file.lots = [lot.select(list(columns)) for lot in self.file.lots]
        self.starts = np.cumsum([0, *(lot.num_rows for lot in self.file.lots)])
        weight = max(1, path.stat().st_size // max(1, len(self)))  # bytes of a row
        self.stretch = BATCH_ROWS * max(1, min(MOST_BATCHES, HELD // weight // BATCH_ROWS))
        """How many rows are gathered at a time: many, so that a batch is touched once for many of them."""

    def __len__(self) -> int:
        return int(self.starts[-1])

    def batches(self) -> Iterator[pl.DataFrame]:
        """All rows in order, with their numbers."""
        for lot, start in zip(self.file, self.starts[:-1], strict=True):
            yield framed(lot).with_row_index("row", int(start))

    def take(self, rows: pl.Series) -> Iterator[pl.DataFrame]:
        """These rows in this order, with their numbers in this table."""
        wanted = rows.to_numpy()
        for first in range(0, len(wanted), self.stretch):
            yield from self.gather(wanted[first : first + self.stretch])

    def gather(self, wanted: np.ndarray[Any, Any]) -> Iterator[pl.DataFrame]:
        """Some rows by the thousand, each batch of the file touched once."""
        order = np.argsort(wanted, kind="stable")
        ascending = wanted[order]
        cuts = np.searchsorted(ascending, self.starts)
        parts = [
            lot.take(pa.array(ascending[first:last] - start))
            for lot, start, first, last in zip(self.file.lots, self.starts[:-1], cuts[:-1], cuts[1:], strict=True)
            if first < last
        ]
        self.file.let_go()
        frame = framed(pa.Table.from_batches(parts, self.schema)).with_columns(
            row=pl.Series(ascending, dtype=pl.UInt32)
        )
        yield from parted(frame, np.argsort(order))

    def close(self) -> None:
        """Let go of the file."""
        self.file.lots = []


def parted(rows: pl.DataFrame, order: np.ndarray[Any, Any] | None = None) -> Iterator[pl.DataFrame]:
    """Rows, in another order, by the thousand: copies, as a slice would be written with what lies beside it."""
    order = np.arange(len(rows)) if order is None else order
    for first in range(0, len(rows), BATCH_ROWS):
        yield rows[order[first : first + BATCH_ROWS]]


def framed(rows: pa.RecordBatch | pa.Table) -> pl.DataFrame:
    """Arrow rows as a frame."""
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame


@dataclass(frozen=True, slots=True)
class View:
    """Some of a file's rows in some order; all of them where `rows` is None. Steps number rows by their place here."""

    path: Path
    rows: pl.Series | None = None

    def batches(self, table: Table) -> Iterator[pl.DataFrame]:
        """The rows, with their numbers."""
        if self.rows is None:
            yield from table.batches()
            return
        first = 0
        for rows in table.take(self.rows):
            yield rows.with_columns(row=pl.int_range(first, first + len(rows), dtype=pl.UInt32))
            first += len(rows)

    def take(self, table: Table, rows: pl.Series) -> Iterator[pl.DataFrame]:
        """Some of them by their numbers."""
        if self.rows is None:
            yield from table.take(rows)
            return
        first = 0
        for found in table.take(self.rows.gather(rows)):
            yield found.with_columns(row=rows.slice(first, len(found)))
            first += len(found)

    def choose(self, rows: pl.Series) -> View:
        """A view of some of them."""
        return View(self.path, rows if self.rows is None else self.rows.gather(rows))


class Sink:
    """Canonical rows to an Arrow stream; `checked` holds them against the canonical schema."""

    def __init__(self, path: Path, checked: bool = True) -> None:
        self.checker = Checker() if checked else None
        self.schema = canonical_schema()
        self.file = pa.OSFile(str(path), "wb")
        self.writer = pa.ipc.new_stream(self.file, self.schema)
        self.rows = 0

    def write(self, rows: pl.DataFrame) -> None:
        """Add rows; columns that are not canonical are left out."""
        rows = rows.select(self.schema.names)
        if rows.is_empty():
            return
        for part in parted(rows) if len(rows) > BATCH_ROWS else [rows]:
            for batch in part.rechunk().to_arrow().cast(self.schema).to_batches():
                if self.checker is not None:
                    self.checker.see(batch)
                self.writer.write_batch(batch)
        self.rows += len(rows)

    def close(self) -> None:
        """Finish the file."""
        if self.checker is not None:
            self.checker.finish()
        self.writer.close()
        self.file.close()


def passes(steps: Sequence[Named]) -> list[tuple[Named, ...]]:
    """The steps in the lots that go over the rows together: those that see batches, and each other one alone."""
    lots: list[tuple[Named, ...]] = []
    for streams, run in groupby(steps, key=lambda named: callable(named.step)):
        lot = tuple(run)
        lots += [lot] if streams else [(named,) for named in lot]
    return lots


def run_pass(
    view: View, steps: Sequence[Named], around: Surroundings, target: Path, ledger: Ledger
) -> tuple[Mapping[str, View], list[StepCount]]:
    """Apply the steps of one lot. Those that see batches write the rows to `target`; one that chooses rows only numbers
    them.

    Gives each output, and each step's counts; the output "" is the dataset itself.
    """
    table = Table(view.path)
    try:
        if callable(steps[0].step):
            return {"": View(target)}, stream(view.batches(table), steps, around, target, ledger)
        chosen, count = choose(view, table, steps[0], around, ledger)
        return {output: view.choose(rows) for output, rows in chosen.items()}, [count]
    finally:
        table.close()


def written(view: View, target: Path) -> Path:
    """The file that holds a view's rows."""
    if view.rows is None:
        return view.path
    table = Table(view.path)
    sink = Sink(target, checked=False)  # as they were checked when they were written to the view's file
    for rows in view.batches(table):
        sink.write(rows)
    sink.close()
    table.close()
    return target


def stream(
    batches: Iterable[pl.DataFrame], steps: Sequence[Named], around: Surroundings, target: Path, ledger: Ledger
) -> list[StepCount]:
    """Steps that see batches, in one pass: several batches at a time, as each step costs much the same for all sizes.
    What is written and told is in the order of the batches."""
    counts = [StepCount(named.name) for named in steps]
    sink = Sink(target)
    for lot in lots_of(batches):
        rows = pl.concat(lot)
        told = []
        for named, count in zip(steps, counts, strict=True):
            count.before += len(rows)
            passed: Passed = named.step(rows, around)  # type: ignore[operator]
            told.append((named.name, count, *by_batch(passed.notes, rows, lot)))
            rows = passed.rows
            count.after += len(rows)
        cuts = [*np.searchsorted(rows["row"].to_numpy(), [batch["row"][0] for batch in lot]), len(rows)]
        for number in range(len(lot)):
            for name, count, notes, identities in told:
                tell(name, identities, notes[number], count, ledger)
            sink.write(rows[np.arange(cuts[number], cuts[number + 1])])
    sink.close()
    return counts


def lots_of(batches: Iterable[pl.DataFrame]) -> Iterator[list[pl.DataFrame]]:
    """Batches that have rows, some at a time."""
    lot: list[pl.DataFrame] = []
    for batch in batches:
        if len(batch):
            lot.append(batch)
        if len(lot) == BATCHES or sum(each.estimated_size() for each in lot) >= HELD:
            yield lot
            lot = []
    if lot:
        yield lot


def by_batch(
    notes: Sequence[Note], rows: pl.DataFrame, lot: Sequence[pl.DataFrame]
) -> tuple[list[list[Note]], Mapping[int, str]]:
    """Notes on rows, for each batch of a lot, and the ids of the rows if there are notes."""
    last = [batch["row"][-1] for batch in lot]
    parts: list[list[Note]] = [[] for _ in lot]
    for note in notes:
        parts[bisect_left(last, note.row)].append(note)
    return parts, identities(rows) if notes else {}


def choose(
    view: View, table: Table, named: Named, around: Surroundings, ledger: Ledger
) -> tuple[Mapping[str, pl.Series], StepCount]:
    """The rows that a step which sees all of them, in its columns or traces, has chosen: by output."""
    step: Any = named.step
    if isinstance(step, CompareStep):
        seen = [step.traces(rows, around) for rows in view.batches(table)]
        weigh = partial(step.compare, again=partial(view.take, table), around=around)
    else:
        batches = (with_columns(rows, step.columns, around) for rows in view.batches(table))
        seen = [rows.select("row", "id", *step.columns) for rows in batches]
        weigh = partial(step.choose, around=around)
    whole = pl.concat(seen) if seen else pl.DataFrame(schema={"row": pl.UInt32, "id": pl.String})
    count = StepCount(named.name, before=len(whole))
    chosen: Chosen = weigh(whole) if seen else Chosen({"": pl.Series([], dtype=pl.UInt32)})
    if chosen.notes:
        tell(named.name, identities(whole), chosen.notes, count, ledger)
    count.after = sum(len(rows) for rows in chosen.rows.values())
    return chosen.rows, count


def identities(rows: pl.DataFrame) -> Mapping[int, str]:
    """The id of each row by its number."""
    return dict(rows.select("row", "id").iter_rows())


def tell(step: str, known: Mapping[int, str], notes: Sequence[Note], count: StepCount, ledger: Ledger) -> None:
    """Notes to the ledger, under the ids that rows had before the step."""
    for note in notes:
        count.reasons[note.counted or note.reason] += 1
        count.changed += note.action == "changed"
        ledger(step, known[note.row], note)
