"""How often each rule found something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from validators.report.json import document, summary_object
from validators.report.model import Layout, Report
from validators.report.text import summary_lines


def render(reports: Sequence[Report], layout: Layout) -> str:
    """For each target the count by rule, the most frequent first, then the summary of the text report."""
    return "".join("\n".join([*count_lines(report), *summary_lines(report)]) + "\n" for report in reports)


def render_json(reports: Sequence[Report], layout: Layout) -> str:
    """The JSON report with the count by rule in the place of the findings."""
    return document(
        [
            summary_object(report)
            | {"statistics": [{"code": code, "name": name, "count": count} for (code, name), count in counts(report)]}
            for report in reports
        ],
        layout,
    )


def counts(report: Report) -> list[tuple[tuple[str, str], int]]:
    """Code and name of each rule with the number of its findings, the most frequent first; equal ones by code."""
    found = Counter((finding.code, finding.name) for finding in report.findings)
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def count_lines(report: Report) -> Iterator[str]:
    """`  12  TAG201  more-image-tags-than-images`."""
    found = counts(report)
    width = len(str(max((count for _, count in found), default=0)))
    for (code, name), count in found:
        yield f"{count:>{width}}  {code}  {name}"
    if found:
        yield ""
