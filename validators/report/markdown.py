"""A summary in Markdown, for comments on merge requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from validators.findings import Finding
from validators.model import Outcome
from validators.report.escaping import clipped, encodable, markdown_code, relative
from validators.report.gates import gate_lines
from validators.report.groups import RANK, where
from validators.report.model import Layout, Report
from validators.report.text import verdict

COMMENT_BYTES = 65_536
"""GitHub takes comments of 65,536 characters, GitLab longer ones; bytes are on the safe side."""
NOTICE = "\n_The rest is cut: comments hold no more._\n"


def render(reports: Sequence[Report], layout: Layout) -> str:
    """At most what a comment can hold."""
    return clipped(encodable(document(reports, layout)), COMMENT_BYTES, NOTICE)


def document(reports: Sequence[Report], layout: Layout) -> str:
    """A section for each target: the verdict, the waterfall, the rules that found something."""
    return "\n\n".join("\n".join(section(report, layout)) for report in reports) + ("\n" if reports else "")


def section(report: Report, layout: Layout) -> Iterator[str]:
    """One target."""
    yield f"### curate check {markdown_code(report.target)}"
    yield ""
    trainer = report.environment or report.trainer
    yield f"**{verdict(report)}** {report.rows_in} rows in → {report.rows_reaching} reach the loss of {trainer}."
    if report.stops:
        yield "**The run would stop before its first step.**"
    if report.lowest_cutoff is not None:
        yield f"Lowest `cutoff_len` that cuts nothing: {report.lowest_cutoff} (yours: {report.cutoff_len})."
    gates = list(gate_lines(report))
    if gates:
        yield ""
        yield from (f"- {markdown_code(line.strip())}" for line in gates)
    if report.datasets:
        yield ""
        yield from waterfalls(report)
    if report.findings:
        yield ""
        yield from rules(report.findings, layout)


def waterfalls(report: Report) -> Iterator[str]:
    """From rows in to rows that reach the loss; a column for each outcome that occurs."""
    outcomes = [outcome for outcome in Outcome if any(dataset.outcomes.get(outcome) for dataset in report.datasets)]
    yield row(["dataset", "rows in", "reach the loss", *(outcome.value for outcome in outcomes)])
    yield row(["---", "--:", "--:", *("--:" for _ in outcomes)])
    for dataset in report.datasets:
        counts = (dataset.rows, dataset.reaching, *(dataset.outcomes.get(outcome, 0) for outcome in outcomes))
        yield row([markdown_code(dataset.name), *map(str, counts)])


def rules(findings: Iterable[Finding], layout: Layout) -> Iterator[str]:
    """A row for each rule: errors first, then the most frequent; the first finding as an example."""
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    yield row(["rule", "severity", "findings", "the trainer does", "first at", "found"])
    yield row(["---", "---", "--:", "---", "---", "---"])
    for members in sorted(by_code.values(), key=lambda each: (RANK[each[0].severity], -len(each), each[0].code)):
        first = members[0]
        place = " ".join(part for part in (relative(first.file, layout.root), where(first)) if part)
        expected = f"; expected {first.expected}" if first.expected else ""
        yield row(
            [
                f"{first.code} {first.name}",
                first.severity.value,
                str(len(members)),
                first.outcome.value if first.outcome is not None else "",
                markdown_code(place),
                markdown_code(f"{first.found}{expected}"),
            ]
        )


def row(cells: Iterable[str]) -> str:
    """A table's row of cells that hold no pipe."""
    return f"| {' | '.join(cells)} |"
