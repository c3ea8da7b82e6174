"""Statistics as text, Markdown and JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

from curate.views.lines import Line
from curate.views.measure import DatasetStats, MediaStats, Stats
from curate.views.numbers import Common, Spread, Summary, sparkline
from curate.views.options import not_read
from validators.model import MediaKind
from validators.report.escaping import encodable, markdown_code, printable
from validators.report.markdown import row as markdown_row

TOP = 5
MOST_CHARS = 80  # of one of the most common texts, in words; JSON has more of it
BARS, LEAST_BARS = 24, 5
HEADINGS = ("", "number", "min", "p5", "p50", "p95", "max", "mean")
UNITS = {"bytes": "bytes", "duration": "seconds", "rate": "Hz", "fps": "fps"}


def spreads(stats: DatasetStats) -> Iterator[tuple[str, Spread]]:
    """All numbers of a dataset by name."""
    yield "turns", stats.turns
    yield "question chars", stats.question_chars
    yield "answer chars", stats.answer_chars
    for kind, media in stats.media.items():
        for name, spread in media_spreads(media):
            yield f"{kind.value} {UNITS.get(name, name)}", spread
    if stats.tokens is not None:
        yield "tokens", stats.tokens.tokens
        yield "tokens of text", stats.tokens.text
        yield "tokens of media", stats.tokens.media
        yield "supervised tokens", stats.tokens.supervised


def media_spreads(media: MediaStats) -> Iterator[tuple[str, Spread]]:
    """All numbers of one modality by name."""
    yield from media.numbers.items()
    yield "bytes", media.sizes


def heads(stats: DatasetStats) -> Iterator[tuple[str, str]]:
    """What is counted by name: a label, and the counts in words."""
    if stats.unreadable:
        yield "not read", f"{stats.unreadable} rows that are no conversations (curate check says why)"
    if stats.fault:
        yield "reading ended", printable(stats.fault)
    if stats.modalities:
        yield "modalities", counts(stats.modalities)
    if stats.roles:
        yield "roles", counts(stats.roles)
    for kind, media in stats.media.items():
        if media.entries:
            size = media.sizes.summary()
            weight = f", {bytes_in_words(size.total)}" if size is not None else ""
            yield kind.column, f"{media.entries} entries, {media.distinct} distinct{weight}: {counts(media.health)}"
            if media.formats:
                yield f"{kind.value} formats", counts(media.formats)
            if media.codecs:
                yield f"{kind.value} codecs" if kind is not MediaKind.IMAGE else "image modes", counts(media.codecs)
    if stats.tokens is not None:
        known = len(stats.tokens.tokens.values)
        yield "over cutoff_len", f"{stats.tokens.over_cutoff} of the {known} rows whose tokens are counted"
        if stats.tokens.not_counted:
            yield "not counted", counts(stats.tokens.not_counted)


def counts(counter: Counter[str]) -> str:
    """`image 12 · text 8`, the most frequent first."""
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    return " · ".join(f"{printable(name, 60)} {count}" for name, count in ordered)


def bytes_in_words(size: float) -> str:
    """`1.4 MB`, in powers of 1000."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.4g} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


def numbers(summary: Summary) -> list[str]:
    """One row of the table."""
    values = (summary.least, summary.p5, summary.p50, summary.p95, summary.most)
    return [
        str(summary.count),
        *map(number, values),
        f"{summary.mean:.4g}" if summary.mean < 1e4 else f"{summary.mean:.0f}",
    ]


def number(value: float) -> str:
    """A number as short as it stays plain."""
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def tops(stats: DatasetStats) -> Iterator[tuple[str, Common]]:
    """The most common texts of a dataset, by name."""
    yield "most common questions", stats.questions
    yield "most common answers", stats.answers


def parts(stats: Stats) -> tuple[DatasetStats, ...]:
    """Each dataset; behind several, all together."""
    return stats.datasets if len(stats.datasets) == 1 else (*stats.datasets, stats.whole)


def text_lines(stats: Stats, width: int) -> Iterator[Line]:
    """The text: a table of numbers for each dataset, with small histograms where a terminal is `width` enough."""
    for place, part in enumerate(parts(stats)):
        if place:
            yield []
        yield [
            (printable(part.name), "bold"),
            (f": {part.rows} rows", ""),
            (" (evaluation)" if part.evaluates else "", "dim"),
        ]
        for label, words in heads(part):
            yield [(f"  {label}  ", "dim"), (words, "")]
        known = [(name, spread, summary) for name, spread in spreads(part) if (summary := spread.summary()) is not None]
        if known:
            yield from table([(name, numbers(summary), spread) for name, spread, summary in known], width)
        for title, common in tops(part):
            yield from top_lines(title, common)
    if stats.whole.tokens is None:
        yield []
        yield [
            (
                "Tokens are not counted: no template and tokenizer are known (--trainer, or --template and --model).",
                "dim",
            )
        ]


def table(known: list[tuple[str, list[str], Spread]], width: int) -> Iterator[Line]:
    """Columns as wide as their widest number."""
    cells = [list(HEADINGS), *([name, *values] for name, values, _ in known)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADINGS))]
    parts = min(width - 2 - sum(widths) - 2 * len(widths), BARS)
    for place, row in enumerate(cells):
        padded = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        bars = f"  {sparkline(known[place - 1][2].bars(parts))}" if parts >= LEAST_BARS and place else ""
        yield [("  " + "  ".join(padded), "dim" if place == 0 else ""), (bars, "cyan")]


def top_lines(title: str, common: Common) -> Iterator[Line]:
    """The most common texts, tags left out, and how often each occurs."""
    if common.distinct:
        least = "at least " if common.forgotten else ""
        yield [(f"  {title} ", "dim"), (f"({least}{common.distinct} distinct)", "dim")]
        for words, count in repeated(common):
            yield [(f"    {least}{count} × ", ""), (printable(words, MOST_CHARS) or "(empty)", "")]


def repeated(common: Common) -> list[tuple[str, int]]:
    """The most common texts that occur more than once."""
    return [(words, count) for words, count in common.top(TOP) if count > 1]


def markdown(stats: Stats) -> str:
    """A section for each dataset."""
    lines = [f"### curate stats {markdown_code(stats.run.plan.target)}"]
    for part in parts(stats):
        lines += ["", f"#### {markdown_code(part.name)}: {part.rows} rows", ""]
        lines += [f"- {label}: {markdown_code(words)}" for label, words in heads(part)]
        lines += ["", markdown_row(HEADINGS), markdown_row(["---", *("--:" for _ in HEADINGS[1:])])]
        for name, spread in spreads(part):
            if (summary := spread.summary()) is not None:
                lines.append(markdown_row([name, *numbers(summary)]))
        for title, common in tops(part):
            least = "at least " if common.forgotten else ""
            lines += ["", f"{title} ({least}{common.distinct} distinct):", ""]
            lines += [
                f"- {least}{count} × {markdown_code(printable(words, MOST_CHARS))}" for words, count in repeated(common)
            ]
    return encodable("\n".join(lines) + "\n")


def document(stats: Stats) -> str:
    """The JSON: one object. Keys are stable; new ones may be added (docs/stats.md names them)."""
    settings = stats.run.settings
    value = {
        "target": stats.run.plan.target,
        "trainer": f"LLaMA-Factory {settings.trainer.llamafactory}",
        "template": settings.template,
        "cutoff_len": settings.cutoff_len,
        "not_read": [{"name": name, "reason": reason} for name, reason in not_read(stats.run.plan)],
        "datasets": [as_object(part) for part in stats.datasets],
        "all": as_object(stats.whole) | {"name": None, "evaluates": None},
    }
    return encodable(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def as_object(stats: DatasetStats) -> dict[str, object]:
    """One dataset."""
    tokens = stats.tokens
    return {
        "name": stats.name,
        "evaluates": stats.evaluates,
        "rows": stats.rows,
        "unreadable_rows": stats.unreadable,
        "reading_ended": stats.fault or None,
        "turns": spread_object(stats.turns),
        "roles": dict(stats.roles),
        "modalities": dict(stats.modalities),
        "question_chars": spread_object(stats.question_chars),
        "answer_chars": spread_object(stats.answer_chars),
        "questions": common_object(stats.questions),
        "answers": common_object(stats.answers),
        "media": {kind.value: media_object(media) for kind, media in stats.media.items()},
        "tokens": None
        if tokens is None
        else {
            "rows_counted": len(tokens.tokens.values),
            "not_counted": dict(tokens.not_counted),
            "over_cutoff_len": tokens.over_cutoff,
            "tokens": spread_object(tokens.tokens),
            "text": spread_object(tokens.text),
            "media": spread_object(tokens.media),
            "supervised": spread_object(tokens.supervised),
        },
    }


def media_object(media: MediaStats) -> dict[str, object]:
    """One modality."""
    return {
        "entries": media.entries,
        "distinct": media.distinct,
        "health": dict(media.health),
        "formats": dict(media.formats),
        "codecs": dict(media.codecs),
        **{name: spread_object(spread) for name, spread in media_spreads(media)},
    }


def spread_object(spread: Spread) -> dict[str, float] | None:
    """The numbers of a spread: count, min, p5, p50, p95, max, mean, sum; null without any."""
    summary = spread.summary()
    if summary is None:
        return None
    values = asdict(summary)
    return {{"least": "min", "most": "max", "total": "sum"}.get(name, name): value for name, value in values.items()}


def common_object(common: Common) -> dict[str, object]:
    """The most common texts."""
    top = [{"text": text, "count": count} for text, count in common.top(TOP)]
    return {"distinct": common.distinct, "exact": not common.forgotten, "top": top}
