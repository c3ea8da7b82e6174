"""A report in words for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from validators.findings import Finding, Severity
from validators.model import Outcome
from validators.replay.advice import KnobAdvice
from validators.report.escaping import printable
from validators.report.gates import gate_lines
from validators.report.model import DatasetSummary, Layout, Report
from validators.rules.fixable import Safety

MOST_CHARS = 10_000  # of one text of a finding
MOST_ALIKE = 20  # findings of one rule in one file that are printed in full


def render(report: Report, full: bool = False) -> str:
    """Findings, then the waterfall; findings of one kind are cut at MOST_ALIKE unless `full`."""
    return "\n".join([*findings_lines(report, full), *summary_lines(report)]) + "\n"


def render_all(reports: Sequence[Report], layout: Layout) -> str:
    """One report after another."""
    return "".join(render(report, layout.full) for report in reports)


def findings_lines(report: Report, full: bool) -> Iterator[str]:
    """Three lines a finding: where and what rule; found, expected, what the trainer does; the cure."""
    printed, left_out = printed_findings(report, full)
    for finding in printed:
        yield from finding_lines(finding, report.trainer)
    yield from left_out
    if printed:
        yield ""


def printed_findings(report: Report, full: bool) -> tuple[list[Finding], list[str]]:
    """The findings that are printed, and a line for each kind of which some are not."""
    counts: Counter[tuple[str, str]] = Counter()
    printed = []
    for finding in report.findings:
        kind = (finding.file, finding.code)
        counts[kind] += 1
        if full or counts[kind] <= MOST_ALIKE:
            printed.append(finding)
    left_out = [
        f"{shown(file)}  … {count - MOST_ALIKE} more of {code} (--full prints them)"
        for (file, code), count in counts.items()
        if not full and count > MOST_ALIKE
    ]
    return printed, left_out


def finding_lines(finding: Finding, trainer: str) -> Iterator[str]:
    """One finding."""
    row = f"  row {finding.place.row}" if finding.place.row is not None else ""
    place = f"  {shown(finding.place.path)}" if finding.place.path else ""
    mark = "" if finding.severity is Severity.ERROR else f" ({finding.severity.value})"
    yield f"{shown(finding.file)}{row}{place}  {finding.code} {finding.name}{mark}"
    expected = f"; expected {shown(finding.expected)}" if finding.expected else ""
    outcome = f"  → {trainer}: {finding.outcome.value}" if finding.outcome is not None else ""
    yield f"  {shown(finding.found)}{expected}{outcome}"
    if finding.cure:
        yield f"  fix: {shown(finding.cure)}"


def shown(text: str) -> str:
    """Text of the data as a terminal or a build log may see it: no line of its own, no control sequence."""
    return printable(text, MOST_CHARS)


def summary_lines(report: Report) -> Iterator[str]:
    """The waterfall of each dataset, the lowest safe cutoff_len, and the count of findings."""
    for dataset in report.datasets:
        yield waterfall(dataset)
        yield from token_lines(dataset)
    yield from advice_lines(report)
    yield " ".join(filter(None, (verdict(report), fixable_words(report))))


def environment_lines(report: Report) -> Iterator[str]:
    """The trainer and the environment that all is predicted for."""
    if report.environment:
        yield f"for {report.environment}"


def depth_lines(report: Report) -> Iterator[str]:
    """What was not read, where that was asked."""
    if report.depth == "shape":
        yield "The data alone were read (--depth shape): media files and lengths in tokens can still cost rows."


def token_lines(dataset: DatasetSummary) -> Iterator[str]:
    """Tokens of the counted rows, where there are such."""
    if dataset.counted:
        yield (
            f"  tokens: {dataset.tokens} in {dataset.counted} rows counted, {dataset.media_tokens} of media, "
            f"{dataset.supervised} supervised; the longest row ({dataset.longest_row}) has {dataset.longest}"
        )


def advice_lines(report: Report) -> Iterator[str]:
    """The environment, what was not read, the lowest safe cutoff_len, the largest media limits, batches, whether the
    run stops, the gates."""
    yield from environment_lines(report)
    yield from depth_lines(report)
    if report.lowest_cutoff is not None:
        relation = "fits" if report.cutoff_len >= report.lowest_cutoff else "is too short"
        yield f"lowest cutoff_len that cuts nothing: {report.lowest_cutoff} (yours, {report.cutoff_len}, {relation})"
        most = [f"{advice.cutoff_len} for {advice.percent} %" for advice in report.cutoffs if advice.percent < 100]
        yield f"  of the rows whole: {', '.join(most)}"
    for knob in report.knobs:
        yield knob_line(knob, report.cutoff_len)
    if report.batches:
        yield f"batches: {report.batches}"
    if report.stops:
        yield f"{report.trainer} would stop before the first step."
    yield from gate_lines(report)


def waterfall(dataset: DatasetSummary) -> str:
    """`name: 24 rows in → 21 reach the loss (2 dropped, 1 crash-load)`."""
    lost = [f"{count} {outcome.value}" for outcome, count in dataset.outcomes.items() if outcome is not Outcome.TRAINED]
    detail = f" ({', '.join(lost)})" if lost else ""
    return f"{shown(dataset.name)}: {dataset.rows} rows in → {dataset.reaching} reach the loss{detail}"


def knob_line(knob: KnobAdvice, cutoff_len: int) -> str:
    """What one media setting may be at most."""
    if knob.largest is None:
        return f"no {knob.knob} is low enough to keep all media whole at cutoff_len {cutoff_len}"
    if knob.unlimited:
        return f"any {knob.knob} keeps all media whole at cutoff_len {cutoff_len}"
    relation = "fits" if knob.current <= knob.largest else "is too high"
    return (
        f"largest {knob.knob} that cuts no medium at cutoff_len {cutoff_len}: {knob.largest:g} "
        f"(yours, {knob.current:g}, {relation})"
    )


def fixable_words(report: Report) -> str:
    """How many of the findings a machine may mend."""
    counts = Counter(finding.fix for finding in report.findings if finding.severity is not Severity.NOTE)
    safe, unsafe = counts[Safety.SAFE], counts[Safety.UNSAFE]
    if safe:
        return f"`curate fix` may mend {safe}{f' ({unsafe} more with --unsafe-fixes)' if unsafe else ''}."
    return f"`curate fix --unsafe-fixes` may mend {unsafe}." if unsafe else ""


def verdict(report: Report) -> str:
    """The last line."""
    notes = report.tally(Severity.NOTE)
    if not report.findings:
        if report.over_limit:
            return "Nothing else is reported, but too many rows are lost."
        return "Nothing else is reported, but the run would stop." if report.stops else "All checks passed."
    parts = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((report.errors, "error"), (report.warnings, "warning"), (notes, "note"))
        if count
    ]
    return f"Found {', '.join(parts)}."
