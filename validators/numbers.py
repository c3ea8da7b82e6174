"""Numbers that a user wrote, as the replay reckons with them: no value may break the arithmetic behind it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from sys import float_info

MOST = 1 << 53
"""More rows, tokens, pixels or steps than there are. Whole numbers up to here are exact as floats; products of three
still fit into a float, and one by a threshold into 64 bits."""


def bounded(value: float) -> float:
    """The number, of its own type, cut at MOST and -MOST; infinity and NaN stay."""
    if isinstance(value, int):
        return bounded_whole(value)
    return max(-float(MOST), min(value, float(MOST))) if math.isfinite(value) else value


def bounded_whole(value: int) -> int:
    """The whole number, cut at MOST and -MOST."""
    return max(-MOST, min(value, MOST))


def beyond_floats(value: object, key: str = "") -> Iterator[str]:
    """Keys (`a.b.0`) of the whole numbers in a parsed document that no float holds: 1.8e308 and more."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from beyond_floats(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from beyond_floats(item, f"{key}.{number}")
    elif isinstance(value, int) and abs(value) > float_info.max:
        yield key
