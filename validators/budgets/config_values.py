"""Typed reading of JSON processor configs: a value of the wrong type or beyond all sense counts as missing.

A model folder is untrusted: a number from it must neither divide by zero nor make a loop or a text without end.
"""

from __future__ import annotations

from collections.abc import Mapping

Config = Mapping[str, object]
HUGE = 1 << 17
"""More pixels a side, tokens or tiles than any processor has."""


def within(value: object, least: int, most: int = HUGE) -> int | None:
    """The value if it is an integer from `least` to `most`, else None."""
    sound = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
    return value if isinstance(value, int) and sound else None


def number(config: Config, key: str, default: int, least: int = 1, most: int = HUGE) -> int:
    """An integer in those limits, else the default."""
    value = within(config.get(key), least, most)
    return default if value is None else value


def optional_number(config: Config, key: str) -> int | None:
    """A positive integer, else None."""
    return within(config.get(key), 1)


def flag(config: Config, key: str, default: bool) -> bool:
    """A boolean, else the default."""
    value = config.get(key)
    return value if isinstance(value, bool) else default


def text(config: Config, key: str, default: str) -> str:
    """A string, else the default."""
    value = config.get(key)
    return value if isinstance(value, str) else default


def sides(value: object, square: bool) -> dict[str, int]:
    """A processor's size setting as a mapping of edges, in pixels.

    transformers 5.6.0, image_processing_utils.py: get_size_dict. A plain number is both sides where `square`, else the
    shortest edge; a list is height and width.
    """
    if isinstance(value, int):
        value = {"height": value, "width": value} if square else {"shortest_edge": value}
    if isinstance(value, list) and len(value) == 2:
        value = {"height": value[0], "width": value[1]}
    if not isinstance(value, Mapping):
        return {}
    return {str(key): side for key, item in value.items() if (side := within(item, 1)) is not None}
