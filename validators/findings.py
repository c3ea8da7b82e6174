"""A finding: where, what was found, what was expected, what the trainer does about it, and the cure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from validators.rules.fixable import FIXABLE, NOT

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from validators.model import Outcome


class Severity(StrEnum):
    """How bad: `error` crashes, is dropped or learns wrong; `warning` is likely harm; `note` only informs."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file: a row (from 0, None for the whole file) and `messages[3]` or `columns.image` in it."""

    row: int | None = None
    path: str = ""
    line: int | None = field(default=None, compare=False)
    """The row's first line in its file, from 1; None where rows are no lines, or the reader does not know."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule yields: the place and the words; the engine adds code, file and severity."""

    place: Place
    found: str
    expected: str = ""
    cure: str = ""
    outcome: Outcome | None = None
    """Overrides the rule's outcome where it depends on the case."""
    file: str | None = None
    """Overrides the data file where the fault lies elsewhere (train.yaml, dataset_info.json)."""
    dataset: str = ""
    """The dataset, where the rule sees several; the place's row is then that of the file."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's verdict on one place of one file."""

    code: str
    name: str
    severity: Severity
    file: str
    dataset: str
    place: Place
    found: str
    expected: str
    cure: str
    outcome: Outcome | None

    @property
    def fix(self) -> str:
        """The surest fix that `curate fix` has for the rule's findings: safe, unsafe or none (""); it may not apply."""
        safety = FIXABLE.get(self.code, NOT).safety
        return safety.value if safety is not None else ""


def findings_schema() -> pa.Schema:
    """The Arrow schema of the findings table (one finding a row; `row`, `line`, `outcome` can be null)."""
    import pyarrow as pa

    nullable = {"row": pa.int64(), "line": pa.int64(), "outcome": pa.string()}
    names = (
        "code",
        "name",
        "severity",
        "file",
        "dataset",
        "row",
        "line",
        "place",
        "found",
        "expected",
        "cure",
        "outcome",
        "fix",
    )
    return pa.schema([pa.field(name, nullable.get(name, pa.string()), nullable=name in nullable) for name in names])


def findings_table(findings: Iterable[Finding]) -> pa.Table:
    """Findings as an Arrow table in `findings_schema`."""
    import pyarrow as pa

    return pa.Table.from_pylist([as_dict(finding) for finding in findings], schema=findings_schema())


def as_dict(finding: Finding) -> dict[str, object]:
    """A finding as one flat record: the table's row and the JSON report's item."""
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.value,
        "file": finding.file,
        "dataset": finding.dataset,
        "row": finding.place.row,
        "line": finding.place.line,
        "place": finding.place.path,
        "found": finding.found,
        "expected": finding.expected,
        "cure": finding.cure,
        "outcome": finding.outcome.value if finding.outcome else None,
        "fix": finding.fix,
    }
