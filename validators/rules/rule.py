"""What a rule is, and what it is shown."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import polars as pl

from validators.budgets.templates import Template
from validators.budgets.text import TextCounter
from validators.findings import Found, Severity
from validators.llamafactory.batches.replay import BatchReplay
from validators.llamafactory.environment.choose import INSTALLED
from validators.llamafactory.environment.store import packages_of
from validators.model import Outcome
from validators.probes import installed
from validators.replay.budget import RowBudget
from validators.report.model import DatasetSummary
from validators.rules.fixable import FIXABLE, NOT, Fixable
from validators.settings import TrainerSettings
from validators.sources.batch import Batch, Census, Shape, ShapeFault
from validators.sources.rows import SourceFault
from validators.sources.target import CheckPlan, DatasetPlan
from validators.thresholds import Thresholds
from validators.traces.model import Traces


class Scope(StrEnum):
    """What a rule sees at a time."""

    RUN = "run"
    """The yaml and dataset_info.json, before any row."""
    DATASET = "dataset"
    """One dataset after its last row: the census."""
    ROW = "row"
    """A batch of rows."""
    MEDIA = "media"
    """The media entries of a batch, with their files' facts."""
    END = "end"
    """All datasets after the last row of the last one."""


class Depth(StrEnum):
    """What a rule must read; each depth includes the ones before."""

    SHAPE = "shape"
    """The data alone."""
    HEADER = "header"
    """The headers of media files too, and the lengths of rows in tokens."""
    DECODE = "decode"
    """Whole media files, and every text against every other."""

    @property
    def rank(self) -> int:
        """From 0, deeper is more."""
        return list(Depth).index(self)


class Stage(StrEnum):
    """Where in the trainer's run the fault strikes; a row's fate is sealed by the first stage that has one."""

    READ = "read"
    CONVERT = "convert"
    VALIDATE = "validate"
    MEDIA = "media"
    TRUNCATE = "truncate"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class RunView:
    """What is known before the first row."""

    plan: CheckPlan
    settings: TrainerSettings
    template: Template | None
    counter: TextCounter | None
    audio_fault: str
    """Why the installed trainer could not decode sound; empty when it can, or when none is installed here."""
    depth: Depth = Depth.HEADER
    thresholds: Thresholds = field(default_factory=Thresholds)

    def version_of(self, package: str) -> str | None:
        """A distribution's version in the environment that the run will use; None where it is not installed there, or
        the environment is not made."""
        name = self.settings.environment
        if name in ("", INSTALLED):
            return installed.version_of(package)
        folder = packages_of(name)
        return None if folder is None else installed.version_in(folder, package)

    def folder_of(self, package: str) -> Path | None:
        """The folder that a distribution is installed in, there; None as above."""
        name = self.settings.environment
        return installed.folder_of(package) if name in ("", INSTALLED) else packages_of(name)


@dataclass(frozen=True, slots=True)
class DatasetView:
    """One dataset when its last row has passed."""

    run: RunView
    dataset: DatasetPlan
    census: Census
    source_faults: Sequence[tuple[str, SourceFault]]
    uncounted: Mapping[str, int]
    """Rows whose tokens are not exactly known, by reason."""


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch of rows with everything known of it.

    media: the batch's media entries joined with MediaFacts, plus `outside` (path leaves the media root) and `listed`
    (a list of frames instead of a file). misplaced,
    turn_counts and tag_balance are the frames of validators.replay.align. odd: the turns with text out of the ordinary
    (validators.rules.oddities).
    """

    run: RunView
    dataset: DatasetPlan
    batch: Batch
    media: pl.DataFrame
    misplaced: pl.DataFrame
    turn_counts: pl.DataFrame
    tag_balance: pl.DataFrame
    odd: pl.DataFrame
    budgets: Sequence[RowBudget]

    def faults(self, shape: Shape) -> Iterator[ShapeFault]:
        """The batch's shape faults of one kind."""
        return (fault for fault in self.batch.faults if fault.shape is shape)

    def line(self, row: int) -> int | None:
        """The row's first line in its file, from 1; None where the reader does not know it."""
        numbers, lines = self.batch.rows["row"], self.batch.rows["line"]
        at = row - int(numbers[0]) if len(numbers) else -1  # a batch is one stretch of rows
        return int(lines[at]) or None if 0 <= at < len(numbers) and numbers[at] == row else None

    def place(self, row: int, turn: int | None) -> str:
        """Where a turn stands in its row: `messages[3]`, `history[0][1]`, `output`."""
        entry = self.dataset.entry
        if entry.formatting != "alpaca" or turn is None:
            return entry.place(turn)
        named = self.batch.turns.filter((pl.col("row") == row) & (pl.col("turn") == turn))["place"]
        return str(named[0]) if len(named) else entry.place()


@dataclass(frozen=True, slots=True)
class EndView:
    """All datasets when the last row of the last one has passed, in the order of the run."""

    run: RunView
    datasets: Sequence[DatasetView]
    summaries: Sequence[DatasetSummary]
    """Rows by outcome and token counts, one a dataset."""
    traces: Traces
    """What is remembered of each row."""
    batches: Sequence[BatchReplay] = ()
    """Which batches of the training, and of its evaluations, are bad."""


View = RunView | DatasetView | BatchView | EndView


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's metadata and its function; the function's docstring is its page."""

    code: str
    name: str
    severity: Severity
    scope: Scope
    stage: Stage
    outcome: Outcome | None
    """What the trainer does with a row that has the fault; None where it does not touch rows."""
    find: Callable[..., Iterator[Found]]
    depth: Depth = Depth.SHAPE
    since: str = "0.1.0"

    @property
    def fixable(self) -> Fixable:
        """Whether `curate fix` can mend it, and how sure it is."""
        return FIXABLE.get(self.code, NOT)

    @property
    def page(self) -> str:
        """The rule's page in Markdown."""
        return inspect.cleandoc(self.find.__doc__ or "")
