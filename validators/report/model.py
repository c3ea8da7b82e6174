"""What a check found out: findings, and for each dataset a waterfall from rows in to rows that reach the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from validators.findings import Finding, Severity
from validators.limit import Limit
from validators.model import Outcome
from validators.replay.advice import CutoffAdvice, KnobAdvice
from validators.report.shown import Lengths, ShownRow

REACHING = (Outcome.TRAINED, Outcome.ALTERED, Outcome.TRUNCATED)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a format must know beside the reports."""

    root: Path
    """The folder, absolute, that paths are shown from where a format wants relative ones."""
    full: bool = False
    """Print every finding, however many are alike."""
    several: bool = False
    """Whether several targets were named, whatever the number of reports."""


@dataclass(frozen=True, slots=True)
class RowPrediction:
    """A row's outcome; its tokens and supervised tokens after truncation where they are exactly known."""

    outcome: Outcome
    tokens: int | None
    supervised: int | None


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """One dataset: rows by outcome; tokens of the rows that could be counted exactly.

    longest: tokens of the longest counted row before truncation. supervised: tokens that carry loss.
    """

    name: str
    rows: int
    outcomes: Mapping[Outcome, int]
    counted: int = 0
    tokens: int = 0
    media_tokens: int = 0
    supervised: int = 0
    longest: int = 0
    longest_row: int | None = None
    predictions: Mapping[int, RowPrediction] | None = None
    """By row, where the caller asked for them (CheckOptions.keep_rows)."""
    evaluates: bool = False
    """Named by eval_dataset: not trained on."""
    shown: tuple[ShownRow, ...] = ()
    """Some of the rows themselves, where the caller asked for them (CheckOptions.previews)."""
    lengths: Lengths | None = None
    """How long all counted rows are, where the caller asked for them (CheckOptions.previews)."""

    @property
    def reaching(self) -> int:
        """Rows that reach the loss, whole or in part."""
        return sum(self.outcomes.get(outcome, 0) for outcome in REACHING)


@dataclass(frozen=True, slots=True)
class KnownFindings:
    """What a baseline took out of a report: the number of findings, and in words its entries that have gone."""

    file: str
    count: int
    stale: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one check."""

    target: str
    findings: tuple[Finding, ...]
    datasets: tuple[DatasetSummary, ...]
    trainer: str
    template: str | None
    cutoff_len: int
    cutoffs: tuple[CutoffAdvice, ...] = ()
    """The lowest cutoff_len that cuts no counted row, and those for most rows; empty when none was counted."""
    knobs: tuple[KnobAdvice, ...] = ()
    """The largest media limits under which no medium is cut, where that was asked or one is cut."""
    stops: bool = False
    """Whether anything, reported or not, stops the trainer before its first step."""
    known: KnownFindings | None = None
    """What a baseline took out of `findings`; None without one."""
    max_lost: Limit | None = None
    """The gate: how many training rows may be lost; None for none."""
    depth: str = "header"
    """What was read: shape (the data alone), header or decode (validators.rules.rule.Depth)."""
    batches: str = ""
    """What is known of the run's batches, in words, where it matters; "" where it does not."""
    config: str | None = None
    """The configuration file that decided what is reported; None for none."""
    environment: str = ""
    """The trainer and the environment that predictions are for, in words; "" where none was looked for."""

    @property
    def lowest_cutoff(self) -> int | None:
        """The lowest cutoff_len that cuts no counted row; None when none was counted."""
        return next((advice.cutoff_len for advice in self.cutoffs if advice.percent == 100), None)

    @property
    def errors(self) -> int:
        """Number of errors."""
        return self.tally(Severity.ERROR)

    @property
    def warnings(self) -> int:
        """Number of warnings."""
        return self.tally(Severity.WARNING)

    def tally(self, severity: Severity) -> int:
        """Findings of one severity."""
        return sum(finding.severity is severity for finding in self.findings)

    @property
    def rows_in(self) -> int:
        """Rows read."""
        return sum(dataset.rows for dataset in self.datasets)

    @property
    def rows_reaching(self) -> int:
        """Rows that reach the loss."""
        return sum(dataset.reaching for dataset in self.datasets)

    @property
    def trained_in(self) -> int:
        """Rows read of the datasets to train on."""
        return sum(dataset.rows for dataset in self.datasets if not dataset.evaluates)

    @property
    def lost(self) -> int:
        """Rows of the datasets to train on that do not reach the loss."""
        return sum(dataset.rows - dataset.reaching for dataset in self.datasets if not dataset.evaluates)

    @property
    def over_limit(self) -> bool:
        """Whether more training rows are lost than the gate lets pass."""
        return self.max_lost is not None and self.max_lost.exceeded(self.lost, self.trained_in)

    @property
    def refusal(self) -> str:
        """Why this should be neither trained on nor sent; "" where nothing speaks against it.

        A run that would stop, or errors; with a gate, more rows lost than it lets pass instead of errors.
        """
        if self.max_lost is None and self.errors:
            return f"{self.errors} error{'' if self.errors == 1 else 's'} above"
        if self.stops:
            return f"{self.trainer} would stop before its first step"
        if self.max_lost is not None and self.over_limit:
            return f"more than max-lost {self.max_lost.text} of the rows are lost"
        return ""

    @property
    def exit_code(self) -> int:
        """0 clean (notes allowed), 1 with errors or warnings; with a gate, 1 beyond it or when the run would stop."""
        if self.max_lost is not None:
            return 1 if self.over_limit or self.stops else 0
        return 1 if self.errors or self.warnings else 0
