"""Typed reading of JSON processor configs: a value of the wrong type counts as missing."""

from __future__ import annotations

from collections.abc import Mapping

Config = Mapping[str, object]


def number(config: Config, key: str, default: int) -> int:
    """An integer, else the default."""
    value = config.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def optional_number(config: Config, key: str) -> int | None:
    """An integer, else None."""
    value = config.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


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
    if isinstance(value, int) and not isinstance(value, bool):
        return {"height": value, "width": value} if square else {"shortest_edge": value}
    if isinstance(value, list) and len(value) == 2:
        value = {"height": value[0], "width": value[1]}
    if not isinstance(value, Mapping):
        return {}
    return {str(key): side for key, side in value.items() if isinstance(side, int) and not isinstance(side, bool)}
