"""The `split` of an entry: which rows of the file it takes (datasets 4.0.0, arrow_reader.py: ReadInstruction)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

ONLY_SPLIT = "train"
"""Local files given as a list make one split of this name."""
PART = re.compile(
    r"^(?P<split>\w+(?:\.\w+)*)(\[((?P<start>-?[\d_]+)(?P<start_pct>%)?)?:((?P<stop>-?[\d_]+)(?P<stop_pct>%)?)?\])?"
    r"(\((?P<rounding>[^)]*)\))?$"
)


@dataclass(frozen=True, slots=True)
class SplitPart:
    """One term: bounds in rows, or in percent."""

    start: int | None
    stop: int | None
    percent: bool
    rounding: str | None


class SplitFault(ValueError):
    """A split that the loader refuses."""


def parse_split(text: str) -> tuple[SplitPart, ...]:
    """The terms of `train[:10%]+train[50:]`; SplitFault for a form, a name or a rounding that is unknown."""
    parts = []
    if re.search(r"\s", text):  # the reader allows it around the plus, the dataset's own name check does not
        raise SplitFault(f"white space in split {text!r}")
    for spec in text.split("+"):
        match = PART.match(spec)
        if match is None:
            raise SplitFault(f"split {spec!r} is not of the form train[from:to]")
        if match["split"] == "all" and len(match["split"]) == len(spec):
            parts.append(SplitPart(None, None, False, None))
            continue
        if match["split"] != ONLY_SPLIT:
            raise SplitFault(f"split {match['split']!r}")
        percent = bool(match["start_pct"] or match["stop_pct"])
        bounds = [int(match[name]) if match[name] else None for name in ("start", "stop")]
        if percent and any(bound is not None and abs(bound) > 100 for bound in bounds):
            raise SplitFault(f"split {spec!r}: percent beyond 100")
        rounding = match["rounding"]
        if rounding is not None and (not percent or rounding not in ("closest", "pct1_dropremainder")):
            raise SplitFault(f"split {spec!r}: rounding {rounding!r}")
        parts.append(SplitPart(bounds[0], bounds[1], percent, rounding))
    return tuple(parts)


def row_ranges(parts: tuple[SplitPart, ...], rows: int) -> list[tuple[int, int]]:
    """Each term's first row and the row after its last, for a file of so many rows."""
    ranges = []
    for part in parts:
        start, stop = (bound_of(bound, part, rows) for bound in (part.start, part.stop))
        start = 0 if start is None else start
        stop = rows if stop is None else stop
        start = max(rows + start, 0) if start < 0 else start
        stop = max(rows + stop, 0) if stop < 0 else stop
        ranges.append((min(start, rows), max(min(stop, rows), min(start, rows))))
    return ranges


def bound_of(bound: int | None, part: SplitPart, rows: int) -> int | None:
    """A bound in rows."""
    if bound is None or not part.percent:
        return bound
    if part.rounding is None or part.rounding == "closest":
        return round(bound * rows / 100.0)
    if rows < 100:
        raise SplitFault(f"percent of {rows} rows, fewer than 100, with {part.rounding} rounding")
    return bound * math.trunc(rows / 100.0)


def takes_all(parts: tuple[SplitPart, ...]) -> bool:
    """Whether the split is simply every row, once."""
    return len(parts) == 1 and parts[0].start is None and parts[0].stop is None
