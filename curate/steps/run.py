"""Steps over a dataset on disk: batches stream, and only row numbers and named columns are held for the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from curate.schema import canonical_schema, validate
from curate.steps.columns import with_columns
from curate.steps.step import Chosen, CompareStep, Note, Passed, Step, Surroundings

BATCH_ROWS = 1000


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
    """Rows in an Arrow stream, mapped into memory: batches point into the file, and are read where they are needed."""

    def __init__(self, path: Path) -> None:
        self.source = pa.memory_map(str(path))
        self.lots: list[Any] = list(pa.ipc.open_stream(self.source))
        self.starts = np.cumsum([0, *(lot.num_rows for lot in self.lots)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def batches(self) -> Iterator[pl.DataFrame]:
        """All rows in order, with their numbers."""
        for lot, start in zip(self.lots, self.starts[:-1], strict=True):
            frame = pl.from_arrow(lot)
            assert isinstance(frame, pl.DataFrame)
            yield frame.with_row_index("row", int(start))

    def take(self, rows: pl.Series) -> Iterator[pl.DataFrame]:
        """These rows in this order, with their numbers in this table."""
        wanted = rows.to_numpy()
        for first in range(0, len(wanted), BATCH_ROWS):
            yield self.gather(wanted[first : first + BATCH_ROWS])

    def gather(self, wanted: np.ndarray[Any, Any]) -> pl.DataFrame:
        """A few rows, each batch touched once."""
        order = np.argsort(wanted, kind="stable")
        ascending = wanted[order]
        homes = np.searchsorted(self.starts, ascending, side="right") - 1
        parts = []
        for home in np.unique(homes):
            local = ascending[homes == home] - self.starts[home]
            parts.append(self.lots[int(home)].take(local))
        frame = pl.from_arrow(pa.Table.from_batches(parts).take(np.argsort(order, kind="stable")))
        assert isinstance(frame, pl.DataFrame)
        return frame.with_columns(row=pl.Series(wanted, dtype=pl.UInt32))

    def close(self) -> None:
        """Let go of the file."""
        self.lots = []
        self.source.close()


class Sink:
    """Canonical rows to an Arrow stream."""

    def __init__(self, path: Path) -> None:
        self.schema = canonical_schema()
        self.file = pa.OSFile(str(path), "wb")
        self.writer = pa.ipc.new_stream(self.file, self.schema)
        self.rows = 0

    def write(self, rows: pl.DataFrame) -> None:
        """Add rows; columns that are not canonical are left out."""
        if len(rows):
            table = rows.select(self.schema.names).to_arrow().cast(self.schema)
            for batch in table.to_batches(max_chunksize=BATCH_ROWS):
                validate(batch)
                # taken anew: lists that were filtered still hold the texts of the rows that went
                self.writer.write_batch(batch.take(pa.array(np.arange(len(batch)), pa.int64())))
            self.rows += len(rows)

    def close(self) -> None:
        """Finish the file."""
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
    source: Path, steps: Sequence[Named], around: Surroundings, target: Callable[[str], Path], ledger: Ledger
) -> tuple[Mapping[str, Path], list[StepCount]]:
    """Apply the steps of one lot. `target(output)` names the file of an output.

    Gives the file of each output, and each step's counts; the output "" is the dataset itself.
    """
    table = Table(source)
    try:
        if callable(steps[0].step):
            return {"": target("")}, stream(table, steps, around, target(""), ledger)
        made, count = choose(table, steps[0], around, target, ledger)
        return made, [count]
    finally:
        table.close()


def stream(table: Table, steps: Sequence[Named], around: Surroundings, target: Path, ledger: Ledger) -> list[StepCount]:
    """Steps that see batches, in one pass."""
    counts = [StepCount(named.name) for named in steps]
    sink = Sink(target)
    for rows in table.batches():
        for named, count in zip(steps, counts, strict=True):
            count.before += len(rows)
            passed: Passed = named.step(rows, around)  # type: ignore[operator]
            tell(named.name, rows, passed.notes, count, ledger)
            rows = passed.rows  # noqa: PLW2901 - each step takes what the one before left
            count.after += len(rows)
        sink.write(rows)
    sink.close()
    return counts


def choose(
    table: Table, named: Named, around: Surroundings, target: Callable[[str], Path], ledger: Ledger
) -> tuple[Mapping[str, Path], StepCount]:
    """A step that sees all rows: first in its columns or traces, then those that it chose are written."""
    step: Any = named.step
    if isinstance(step, CompareStep):
        seen = [step.traces(rows, around) for rows in table.batches()]
        weigh = partial(step.compare, again=table.take, around=around)
    else:
        seen = [with_columns(rows, step.columns, around).select("row", "id", *step.columns) for rows in table.batches()]
        weigh = partial(step.choose, around=around)
    whole = pl.concat(seen) if seen else pl.DataFrame(schema={"row": pl.UInt32, "id": pl.String})
    count = StepCount(named.name, before=len(table))
    chosen: Chosen = weigh(whole) if seen else Chosen({"": pl.Series([], dtype=pl.UInt32)})
    tell(named.name, whole, chosen.notes, count, ledger)
    made = {}
    for output, numbers in chosen.rows.items():
        made[output] = target(output)
        sink = Sink(made[output])
        for rows in table.take(numbers):
            sink.write(rows)
        sink.close()
        count.after += sink.rows
    return made, count


def tell(step: str, rows: pl.DataFrame, notes: Sequence[Note], count: StepCount, ledger: Ledger) -> None:
    """Notes to the ledger, under the ids that rows had before the step."""
    if not notes:
        return
    identities = dict(rows.select("row", "id").iter_rows())
    for note in notes:
        count.reasons[note.counted or note.reason] += 1
        count.changed += note.action == "changed"
        ledger(step, identities[note.row], note)
