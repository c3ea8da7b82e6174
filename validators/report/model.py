"""What a check found out: findings, and for each dataset a waterfall from rows in to rows that reach the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from validators.findings import Finding, Severity
from validators.model import Outcome
from validators.replay.advice import CutoffAdvice, KnobAdvice

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

    @property
    def reaching(self) -> int:
        """Rows that reach the loss, whole or in part."""
        return sum(self.outcomes.get(outcome, 0) for outcome in REACHING)


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
    def stops(self) -> bool:
        """Whether something stops the trainer before its first step."""
        return any(finding.outcome is Outcome.CRASH_LOAD for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """0 clean (notes allowed), 1 with errors or warnings."""
        return 1 if self.errors or self.warnings else 0
