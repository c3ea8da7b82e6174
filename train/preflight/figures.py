"""A figure that is not certain: from, to."""

from __future__ import annotations

from dataclasses import dataclass

GIB, MIB = 1 << 30, 1 << 20


@dataclass(frozen=True, slots=True)
class Range:
    """At least `low`, at most `high`; equal where the figure is certain."""

    low: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Range:
        """So many times as much."""
        return Range(self.low * factor, self.high * factor)


NOTHING = Range(0, 0)


def exactly(value: float) -> Range:
    """A certain figure."""
    return Range(value, value)


def size(amount: float) -> str:
    """`3.1 GiB`, `250 MiB`, `12 KiB`."""
    if amount >= GIB:
        return f"{amount / GIB:.1f} GiB"
    return f"{amount / MIB:.1f} MiB" if amount >= MIB else f"{amount / 1024:.0f} KiB"


def sizes(amount: Range) -> str:
    """`3.1 GiB`, or `3.1 GiB to 4.0 GiB`."""
    low, high = size(amount.low), size(amount.high)
    return low if low == high else f"{low} to {high}"
