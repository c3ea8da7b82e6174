"""Reports as the compact values that the page's script reads: columns of numbers, each text once."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from validators.findings import Finding, Severity
from validators.model import MediaKind, Outcome
from validators.report.escaping import printable
from validators.report.gates import gate_lines
from validators.report.model import DatasetSummary, Report
from validators.report.shown import Lengths, Preview, ShownMedium, ShownRow
from validators.report.text import depth_lines, knob_line, verdict
from validators.rules.registry import BY_CODE

MOST_FINDINGS = 200_000
"""Of one target; what lies beyond is counted, not listed."""
MOST_CHARS = 50_000_000
"""Of all texts of findings: where these are reached, the rest is counted only."""
SEVERITIES, OUTCOMES, KINDS = list(Severity), list(Outcome), list(MediaKind)


@dataclass(slots=True)
class Store:
    """Texts, rules and previews that all targets of a page share, each once."""

    texts: dict[str, int] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    previews: dict[Preview, int] = field(default_factory=dict)
    chars: int = 0
    """Of all texts."""

    def text(self, text: str) -> int:
        """The number of a text of the data, made printable."""
        shown = printable(text)
        if shown not in self.texts:
            self.texts[shown] = len(self.texts)
            self.chars += len(shown)
        return self.texts[shown]

    def rule(self, code: str) -> int:
        """The number of a rule."""
        return self.rules.setdefault(code, len(self.rules))

    def preview(self, preview: Preview | None) -> int:
        """The number of a preview, -1 for none."""
        return -1 if preview is None else self.previews.setdefault(preview, len(self.previews))


def page_values(reports: Sequence[Report]) -> dict[str, object]:
    """Everything that the page shows."""
    store = Store()
    targets = [report_values(report, store) for report in reports]
    return {
        "severities": [severity.value for severity in SEVERITIES],
        "outcomes": [outcome.value for outcome in OUTCOMES],
        "kinds": [kind.value for kind in KINDS],
        "targets": targets,
        "rules": [rule_values(code) for code in store.rules],
        "texts": list(store.texts),
        "previews": [preview_values(preview) for preview in store.previews],
    }


def report_values(report: Report, store: Store) -> dict[str, object]:
    """One target."""
    ordered = sorted(report.findings, key=lambda finding: SEVERITIES.index(finding.severity))
    names = {dataset.name: number for number, dataset in enumerate(report.datasets)}
    return {
        "target": printable(report.target),
        "trainer": report.environment or report.trainer,
        "template": printable(report.template or ""),
        "cutoff": report.cutoff_len,
        "stops": report.stops,
        "verdict": verdict(report),
        "passes": report.exit_code == 0,
        "counts": [report.tally(severity) for severity in SEVERITIES],
        "rowsIn": report.rows_in,
        "rowsReaching": report.rows_reaching,
        "advice": [[advice.percent, advice.cutoff_len] for advice in report.cutoffs],
        "knobs": [knob_line(knob, report.cutoff_len) for knob in report.knobs],
        "gates": [printable(line) for line in (*depth_lines(report), *gate_lines(report))],
        "datasets": [dataset_values(dataset) for dataset in report.datasets],
        "rules": [list(each) for each in counts_by_rule(report.findings, store).items()],
        "findings": findings_values(ordered, names, store),
        "rows": [
            row_values(row, number, store) for number, dataset in enumerate(report.datasets) for row in dataset.shown
        ],
    }


def counts_by_rule(findings: Sequence[Finding], store: Store) -> Counter[int]:
    """Findings of each rule, by its number: the severest first, then the most frequent."""
    counts = Counter((SEVERITIES.index(finding.severity), finding.code) for finding in findings)
    ordered = sorted(counts.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
    result = Counter[int]()
    for (_, code), count in ordered:
        result[store.rule(code)] += count
    return result


def findings_values(findings: Sequence[Finding], names: dict[str, int], store: Store) -> dict[str, list[int]]:
    """Findings as columns of numbers, -1 where there is none; no more than the page can bear."""
    columns: dict[str, list[int]] = {
        name: []
        for name in ("rule", "severity", "outcome", "dataset", "row", "file", "place", "found", "expected", "cure")
    }
    for finding in findings[:MOST_FINDINGS]:
        if store.chars >= MOST_CHARS:
            break
        columns["rule"].append(store.rule(finding.code))
        columns["severity"].append(SEVERITIES.index(finding.severity))
        columns["outcome"].append(-1 if finding.outcome is None else OUTCOMES.index(finding.outcome))
        columns["dataset"].append(names.get(finding.dataset, -1))
        columns["row"].append(-1 if finding.place.row is None else finding.place.row)
        columns["file"].append(store.text(finding.file))
        columns["place"].append(store.text(finding.place.path))
        columns["found"].append(store.text(finding.found))
        columns["expected"].append(store.text(finding.expected))
        columns["cure"].append(store.text(finding.cure))
    return columns


def dataset_values(dataset: DatasetSummary) -> dict[str, object]:
    """One dataset's waterfall, tokens and lengths."""
    return {
        "name": printable(dataset.name),
        "rows": dataset.rows,
        "reaching": dataset.reaching,
        "evaluates": dataset.evaluates,
        "outcomes": [dataset.outcomes.get(outcome, 0) for outcome in OUTCOMES],
        "counted": dataset.counted,
        "tokens": dataset.tokens,
        "media": dataset.media_tokens,
        "supervised": dataset.supervised,
        "longest": dataset.longest,
        "lengths": None if dataset.lengths is None else lengths_values(dataset.lengths),
    }


def lengths_values(lengths: Lengths) -> dict[str, object]:
    """Steps from one length to the next, and rows of each; supervised tokens under each tried cutoff_len."""
    before = 0
    steps = []
    for length, _ in lengths.rows:
        steps.append(length - before)
        before = length
    return {
        "steps": steps,
        "rows": [count for _, count in lengths.rows],
        "unit": lengths.unit,
        "cutoffs": [cutoff for cutoff, _ in lengths.supervised],
        "supervised": [tokens for _, tokens in lengths.supervised],
    }


def row_values(row: ShownRow, dataset: int, store: Store) -> dict[str, object]:
    """A row to show."""
    return {
        "file": store.text(row.file),
        "row": row.row,
        "dataset": dataset,
        "outcome": OUTCOMES.index(row.outcome),
        "tokens": row.tokens,
        "kept": row.kept,
        "supervised": row.supervised,
        "turns": [[printable(turn.role, 40), lines(turn.text), turn.left_out] for turn in row.turns],
        "turnsLeftOut": row.turns_left_out,
        "media": [medium_values(medium, store) for medium in row.media],
        "mediaLeftOut": row.media_left_out,
    }


def medium_values(medium: ShownMedium, store: Store) -> list[object]:
    """Kind, path, what is known of it, its preview or why there is none."""
    return [
        KINDS.index(medium.kind),
        printable(medium.path, 300),
        printable(medium.note, 100),
        store.preview(medium.preview),
        printable(medium.reason, 200),
    ]


def preview_values(preview: Preview) -> dict[str, object]:
    """A picture as a data: address, or a sound's peaks."""
    if not preview.data:
        return {"peaks": [edge for part in preview.peaks for edge in part], "note": preview.note}
    packed = base64.b64encode(preview.data).decode("ascii")
    address = f"data:{preview.mime};base64,{packed}"
    return {"address": address, "width": preview.width, "height": preview.height, "note": preview.note}


def rule_values(code: str) -> dict[str, object]:
    """A rule's code, name, usual severity and outcome, and its page as blocks."""
    rule = BY_CODE[code]
    return {"code": code, "name": rule.name, "page": [list(block) for block in page_blocks(rule.page)]}


def page_blocks(page: str) -> Iterator[tuple[str, str]]:
    """A rule's page in Markdown as headings, paragraphs and fenced texts."""
    parts = page.split("```")
    for number, part in enumerate(parts):
        if number % 2:
            title, _, body = part.partition("\n")
            yield "code", f"{title.split(' ', 1)[-1]}\n{body.rstrip()}"
            continue
        for filled, group in groupby(part.splitlines(), key=lambda line: bool(line.strip())):
            if filled:
                text = list(group)
                heading = text[0].startswith("#")
                if heading:
                    yield "heading", text.pop(0).lstrip("# ")
                if text:
                    yield "text", " ".join(map(str.strip, text))


def lines(text: str) -> str:
    """Text of the data that keeps its lines and tabs, and no other control character."""
    return "\n".join("\t".join(printable(part, len(part)) for part in line.split("\t")) for line in text.split("\n"))
