"""What a step is. Rows are polars frames in the canonical schema, with `row`, the row's number in the step's input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import polars as pl

    from curate.steps.tokens import Counting
    from curate.work.memory import Memory


@dataclass(frozen=True, slots=True)
class Note:
    """A row that a step took out or changed, and why: one line of the ledger."""

    row: int
    action: str
    """`dropped` or `changed`."""
    reason: str
    counted: str = ""
    """Under which words it is counted, where the reason is this row's own."""


@dataclass(frozen=True, slots=True)
class Passed:
    """What a step that sees batches makes of one."""

    rows: pl.DataFrame
    notes: Sequence[Note] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a step that sees all rows at once makes of them: row numbers in their new order, by output.

    The output "" is the dataset itself; others are datasets named after it (`NAME_eval`).
    """

    rows: Mapping[str, pl.Series]
    notes: Sequence[Note] = ()


MakeMedium = Callable[[str, str, str, Callable[[Path, Path], object]], str]
"""The path of a medium made of another: that one's path, a name for what is made of it, an ending, and what reads the
first file and writes the second. Raises what that raises."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What steps know beside the rows."""

    media_root: Path
    counting: Counting | None = None
    """How the trainer will count tokens, where the recipe says what it trains with."""
    memory: Memory | None = None
    """What earlier builds found in media."""
    make: MakeMedium | None = None
    """None where media are only named, and there is no place for new ones."""


class BatchStep(Protocol):
    """A step that looks at rows one by one: it sees batches, and memory stays that of a batch."""

    def __call__(self, rows: pl.DataFrame, around: Surroundings) -> Passed:
        """Rows in, rows out; `row` stays as it is."""


class WholeStep(Protocol):
    """A step that weighs rows against each other: it sees all of them, in the few columns that it names."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of curate.steps.columns, beside `row` and `id`."""

    def choose(self, rows: pl.DataFrame, around: Surroundings) -> Chosen:
        """Row numbers to keep, in order."""


@runtime_checkable
class CompareStep(Protocol):
    """A step that weighs rows against each other by traces of its own, and may read some of the rows once more."""

    def traces(self, rows: pl.DataFrame, around: Surroundings) -> pl.DataFrame:
        """A few bytes for each row of a batch, `row` and `id` among them."""

    def compare(
        self, traces: pl.DataFrame, again: Callable[[pl.Series], Iterator[pl.DataFrame]], around: Surroundings
    ) -> Chosen:
        """Row numbers to keep, in order. again: reads rows by their numbers."""


Step = BatchStep | WholeStep | CompareStep
