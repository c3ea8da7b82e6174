"""Findings of one rule in one file, taken together: what services with a limit on results are told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from validators.findings import Finding, Severity
from validators.report.model import Report

FIRST_ROWS = 5  # rows that are named
RANK = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Group:
    """At least one finding, in the order of the report."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The one whose words stand for all."""
        return self.findings[0]

    @property
    def line(self) -> int:
        """The first finding's line, 1 where none is known."""
        return self.first.place.line or 1

    def rows(self) -> str:
        """`row 3`, `rows 3, 17, 20, 21, 30 …`; empty for findings on the whole file."""
        rows = dict.fromkeys(finding.place.row for finding in self.findings if finding.place.row is not None)
        if not rows:
            return ""
        named = ", ".join(str(row) for row in islice(rows, FIRST_ROWS))
        return f"row{'' if len(rows) == 1 else 's'} {named}{' …' if len(rows) > FIRST_ROWS else ''}"

    def headline(self) -> str:
        """`12 findings, rows 3, 17 …`; for a single one only where it is; empty where there is nothing to say."""
        count = f"{len(self.findings)} findings" if len(self.findings) > 1 else ""
        place = self.rows() if count else where(self.first)
        return ", ".join(part for part in (count, place) if part)


def where(finding: Finding) -> str:
    """`row 412 messages[3]`, without the file."""
    row = f"row {finding.place.row}" if finding.place.row is not None else ""
    return " ".join(part for part in (row, finding.place.path) if part)


def grouped(findings: Iterable[Finding]) -> list[Group]:
    """By file and rule; errors first, else in the order of appearance."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.file, finding.code), []).append(finding)
    return sorted((Group(tuple(members)) for members in groups.values()), key=lambda group: RANK[group.first.severity])


def distinct(reports: Sequence[Report]) -> Iterator[Finding]:
    """The findings of several targets; what an earlier target has said already is not said again."""
    said: set[Finding] = set()
    for report in reports:
        yield from (finding for finding in report.findings if finding not in said)
        said.update(report.findings)
