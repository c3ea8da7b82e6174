"""What configuration, baseline and gate have to say, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from validators.report.model import Report

MOST_STALE = 20  # stale entries that are named


def gate_lines(report: Report) -> Iterator[str]:
    """The configuration's file; known and stale findings of the baseline; the gate and whether it holds."""
    if report.config is not None:
        yield f"configuration: {report.config}"
    if report.known is not None:
        count, stale = report.known.count, report.known.stale
        gone = f"; {len(stale)} of its entries {'is' if len(stale) == 1 else 'are'} stale" if stale else ""
        yield f"baseline {report.known.file}: {count} known finding{'' if count == 1 else 's'} not shown{gone}"
        yield from (f"  stale, the finding is gone: {words}" for words in stale[:MOST_STALE])
        if len(stale) > MOST_STALE:
            yield f"  … {len(stale) - MOST_STALE} more stale entries"
    if report.max_lost is not None:
        share = f" ({percent(report.lost, report.trained_in)})" if report.trained_in else ""
        held = f"{'more than' if report.over_limit else 'within'} max-lost {report.max_lost.text}"
        yield f"{report.lost} of {report.trained_in} training rows lost{share}: {held}"


def percent(part: int, whole: int) -> str:
    """A share to four digits."""
    return f"{part * 100 / whole:.4g} %"


def gate_values(report: Report) -> dict[str, object]:
    """The same for programs: keys of the JSON report, null where there is no baseline or gate."""
    known = report.known
    return {
        "config": report.config,
        "training_rows_lost": report.lost,
        "max_lost": report.max_lost.text if report.max_lost else None,
        "max_lost_exceeded": report.over_limit if report.max_lost else None,
        "baseline": {"file": known.file, "known": known.count, "stale": list(known.stale)} if known else None,
    }
