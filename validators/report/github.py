"""Workflow commands for GitHub Actions: annotations on the files of a pull request.

A step shows 10 annotations of each level (GitHub community discussion 26680), so there is one for each rule and file,
errors first. Every line that holds anything of the data begins with `::`, for the runner also acts on `##[` within
other lines (actions/runner, src/Runner.Common/ActionCommand.cs).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from validators.findings import Severity
from validators.report.escaping import clipped, encodable, printable, relative, workflow_data, workflow_property
from validators.report.groups import Group, distinct, grouped
from validators.report.markdown import document
from validators.report.model import Layout, Report

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
SUMMARY_BYTES = 1 << 20
"""What a step's summary may hold; a longer one is refused whole."""
SUMMARY_NOTICE = "\n_The rest is cut: a step's summary holds 1 MiB._\n"


def render(reports: Sequence[Report], layout: Layout) -> str:
    """One command for each rule and file, then one line of count."""
    groups = grouped(distinct(reports))
    trainer = reports[0].trainer if reports else ""
    lines = [command(group, trainer, layout) for group in groups]
    total = sum(len(group.findings) for group in groups)
    lines.append(f"Findings: {total}, annotations: {len(groups)}." if groups else "All checks passed.")
    return "\n".join(lines) + "\n"


def command(group: Group, trainer: str, layout: Layout) -> str:
    """`::error file=data.json,line=1,title=TAG201 …::12 findings, rows 3, 17 …`."""
    first = group.first
    properties = {
        "file": printable(relative(first.file, layout.root)),
        "line": str(group.line),
        "title": f"{first.code} {first.name}",
    }
    listed = ",".join(f"{key}={workflow_property(value)}" for key, value in properties.items())
    return f"::{LEVELS[first.severity]} {listed}::{workflow_data(chr(10).join(message(group, trainer)))}"


def message(group: Group, trainer: str) -> Iterator[str]:
    """Where, found and expected, what the trainer does, the cure; a line each."""
    first = group.first
    headline = printable(group.headline())
    if headline:
        yield headline
    expected = f"; expected {printable(first.expected)}" if first.expected else ""
    yield f"{'e.g. ' if len(group.findings) > 1 else ''}{printable(first.found)}{expected}"
    if first.outcome is not None:
        yield f"{trainer}: {first.outcome.value}"
    if first.cure:
        yield f"fix: {printable(first.cure)}"


def step_summary(reports: Sequence[Report], layout: Layout, room: int = SUMMARY_BYTES) -> str:
    """The Markdown report for $GITHUB_STEP_SUMMARY, at most `room` bytes."""
    return clipped(encodable(document(reports, layout)), min(room, SUMMARY_BYTES), SUMMARY_NOTICE)
