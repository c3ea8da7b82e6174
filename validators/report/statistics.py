"""How often each rule found something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from validators.report.model import Layout, Report
from validators.report.text import summary_lines


def render(reports: Sequence[Report], layout: Layout) -> str:
    """For each target the count by rule, the most frequent first, then the summary of the text report."""
    return "".join("\n".join([*count_lines(report), *summary_lines(report)]) + "\n" for report in reports)


def count_lines(report: Report) -> Iterator[str]:
    """`  12  TAG201  more-image-tags-than-images`; equally frequent ones by code."""
    counts = Counter((finding.code, finding.name) for finding in report.findings)
    width = len(str(max(counts.values(), default=0)))
    for (code, name), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        yield f"{count:>{width}}  {code}  {name}"
    if counts:
        yield ""
