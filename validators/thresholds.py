"""The numbers from which rules speak, and what says so: one declaration for defaults, configuration and reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from difflib import get_close_matches
from math import isfinite
from typing import Any

from validators.errors import UsageFault


def number(default: float, words: str, least: float = 0.0, most: float = 1e12) -> Any:  # noqa: ANN401 - as field()
    """A threshold: its default, what it means and why that default, and its bounds, both included."""
    return field(default=default, metadata={"words": words, "least": least, "most": most})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Every rule's numbers. A name is written with hyphens in configuration."""

    min_image_side: float = number(
        16, "IMG305: the shortest side, in pixels, below which an image is too small to learn from.", least=1
    )


def name_of(item: Field[Any]) -> str:
    """A threshold's name in configuration."""
    return item.name.replace("_", "-")


FIELDS: Mapping[str, Field[Any]] = {name_of(item): item for item in fields(Thresholds)}


def thresholds_of(given: Iterable[tuple[str, object, str]]) -> Thresholds:
    """Thresholds from names and values; the third word says where each was written. The last of a name counts.

    UsageFault for an unknown name, with the nearest one, and for a value out of bounds.
    """
    values = {}
    for name, value, where in given:
        item = FIELDS.get(name)
        if item is None:
            near = get_close_matches(name.replace("_", "-"), list(FIELDS), n=1)
            cure = f"did you mean {near[0]!r}?" if near else ""
            raise UsageFault(where, f"no threshold {name!r}", f"one of {', '.join(FIELDS)}", cure)
        values[item.name] = bounded(item, value, where)
    return Thresholds(**values)


def bounded(item: Field[Any], value: object, where: str) -> float:
    """A number within a threshold's bounds."""
    least, most = item.metadata["least"], item.metadata["most"]
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and least <= value <= most:
        return float(value)
    raise UsageFault(where, f"{value!r}", f"a number from {least:g} to {most:g}")


def default_of(item: Field[Any]) -> float:
    """A threshold's default."""
    assert item.default is not MISSING
    return float(item.default)
