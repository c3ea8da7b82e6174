"""The text report as a terminal shows it: wrapped at its width, with colours and a bar where it has them.

Imported only where there is such a terminal: rich takes longer to load than a small check.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from validators.findings import Finding, Severity
from validators.model import Outcome
from validators.report.colours import COLOURS, SEVERITIES
from validators.report.model import DatasetSummary, Layout, Report
from validators.report.statistics import counts
from validators.report.text import advice_lines, fixable_words, printed_findings, shown, token_lines, verdict

MOST_WIDTH = 120  # of a bar
INDENT = 2
FILLS = {
    Outcome.TRAINED: "█",
    Outcome.ALTERED: "▓",
    Outcome.TRUNCATED: "▒",
    Outcome.DROPPED: "░",
    Outcome.CRASH_STEP: "╱",
    Outcome.CRASH_LOAD: "╳",
}


@dataclass(frozen=True, slots=True)
class Screen:
    """What the reports are shown on."""

    width: int
    colour: bool

    def render(self, reports: Sequence[Report], layout: Layout) -> str:
        """One report after another."""
        return "".join(self.text([*findings(each, layout.full), *summary(each, self.width)]) for each in reports)

    def render_statistics(self, reports: Sequence[Report], layout: Layout) -> str:
        """For each target the count by rule, then the summary."""
        return "".join(self.text([*statistics(each), *summary(each, self.width)]) for each in reports)

    def text(self, lines: Sequence[Text]) -> str:
        """The lines in words: each wrapped, its later parts as far in as its first one or further."""
        console = Console(
            file=io.StringIO(),
            width=self.width,
            color_system="standard" if self.colour else None,
            force_terminal=self.colour,
            no_color=not self.colour,
            legacy_windows=False,
        )
        for line in lines:
            for part in wrapped(console, line, self.width):
                console.print(part, soft_wrap=True, end="\n")
        file = console.file
        assert isinstance(file, io.StringIO)
        return file.getvalue()


def wrapped(console: Console, line: Text, width: int) -> Iterator[Text]:
    """A line cut where it is too wide, between words where it can be; the rest stands two further in."""
    indent = len(line.plain) - len(line.plain.lstrip(" "))
    while cell_len(line.plain) > width:
        first = line[indent:].wrap(console, max(1, width - indent), overflow="fold")[0]
        rest = line[indent + len(first.plain) :]
        first.rstrip()
        yield Text(" " * indent) + first
        if indent < INDENT + INDENT:
            indent = min(indent + INDENT, width // 2)
        line = Text(" " * indent) + rest[len(rest.plain) - len(rest.plain.lstrip(" ")) :]
    yield line


def findings(report: Report, full: bool) -> Iterator[Text]:
    """What the text report says, with the code in the colour of its severity and the outcome in its own."""
    printed, left_out = printed_findings(report, full)
    for finding in printed:
        yield from finding_texts(finding, report.trainer)
    yield from (Text(line, "dim") for line in left_out)
    if printed:
        yield Text()


def finding_texts(finding: Finding, trainer: str) -> Iterator[Text]:
    """One finding."""
    colour = SEVERITIES[finding.severity]
    head = Text(shown(finding.file), "bold")
    if finding.place.row is not None:
        head.append(f"  row {finding.place.row}", "bold")
    if finding.place.path:
        head.append(f"  {shown(finding.place.path)}")
    head.append("  ").append(finding.code, f"bold {colour}").append(f" {finding.name}", colour)
    if finding.severity is not Severity.ERROR:
        head.append(f" ({finding.severity.value})", colour)
    yield head
    body = Text(f"  {shown(finding.found)}")
    if finding.expected:
        body.append(f"; expected {shown(finding.expected)}")
    if finding.outcome is not None:
        body.append(f"  → {trainer}: ", "dim").append(finding.outcome.value, COLOURS[finding.outcome])
    yield body
    if finding.cure:
        yield Text("  ").append("fix: ", "green").append(shown(finding.cure))


def statistics(report: Report) -> Iterator[Text]:
    """The count by rule, in the colour of the rule's severest finding."""
    found = counts(report)
    width = len(str(max((count for _, count in found), default=0)))
    severities = {finding.code: finding.severity for finding in report.findings}
    for (code, name), count in found:
        yield Text(f"{count:>{width}}  ").append(code, f"bold {SEVERITIES[severities[code]]}").append(f"  {name}")
    if found:
        yield Text()


def summary(report: Report, width: int) -> Iterator[Text]:
    """The waterfall of each dataset with its bar, what to set, and the verdict."""
    for dataset in report.datasets:
        yield (
            Text(shown(dataset.name), "bold")
            .append(f": {dataset.rows} rows in → ", "not bold")
            .append(str(dataset.reaching))
            .append(" reach the loss", "not bold")
        )
        if dataset.rows:
            yield bar(dataset, min(width - INDENT, MOST_WIDTH))
            yield legend(dataset)
        yield from map(Text, token_lines(dataset))
    yield from map(Text, advice_lines(report))
    worst = "red" if report.errors or report.stops or report.over_limit else "yellow" if report.warnings else "green"
    yield Text(verdict(report), f"bold {worst}")
    if words := fixable_words(report):
        yield Text(words)


def bar(dataset: DatasetSummary, width: int) -> Text:
    """Rows by outcome as lengths; what there is has a length of at least one, where there is room."""
    line = Text(" " * INDENT)
    for outcome, length in shares(dataset, max(1, width)):
        line.append(FILLS[outcome] * length, COLOURS[outcome])
    return line


def shares(dataset: DatasetSummary, width: int) -> list[tuple[Outcome, int]]:
    """The outcomes' parts of a width, by largest remainder; none is lost while there is room for all."""
    outcomes = [(outcome, count) for outcome, count in dataset.outcomes.items() if count][:width]
    free = width - len(outcomes)
    total = sum(count for _, count in outcomes)
    exact = [count * free / total for _, count in outcomes]
    lengths = [1 + int(part) for part in exact]
    order = sorted(range(len(exact)), key=lambda place: int(exact[place]) - exact[place])
    for place in order[: width - sum(lengths)]:
        lengths[place] += 1
    return [(outcome, length) for (outcome, _), length in zip(outcomes, lengths, strict=True)]


def legend(dataset: DatasetSummary) -> Text:
    """What the bar's parts mean."""
    line = Text(" " * INDENT)
    for number, (outcome, count) in enumerate(dataset.outcomes.items()):
        line.append("  " if number else "").append(FILLS[outcome], COLOURS[outcome]).append(f" {count} {outcome.value}")
    return line
