"""A column whose values are of different types, written in one form over all rows of a dataset."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from curate.fixes.json_text import spelling
from curate.fixes.protocol import CannotMend
from validators.model import MediaKind
from validators.sources.dataset_info import DatasetEntry

STEP = re.compile(r"\[\]|\.?([^.\[\]]+)")
ALL = "[]"


@dataclass(frozen=True, slots=True)
class ColumnMend:
    """What is done to each value at a column path such as `messages[].content`."""

    place: str
    change: Callable[[object], object]
    words: str

    def apply(self, row: object) -> object:
        """The row with the column in its new form; the row itself where it has it already."""
        return changed(row, path_of(self.place), self.change)


def column_mend(place: str, kinds: frozenset[str], entry: DatasetEntry) -> ColumnMend:
    """What makes one form of the kinds of value that a column has; CannotMend where nothing does."""
    media = {entry.media_column(kind) for kind in MediaKind}
    read = {name for name in entry.columns.values() if name is not None} - media
    if kinds == {"text", "list"} and path_of(place)[0] not in read:
        return ColumnMend(place, in_list, f"{place}: each text alone put into a list")
    if kinds <= {"text", "number", "boolean", "long number"} and kinds & {"text", "long number"}:
        return ColumnMend(place, as_text, f"{place}: numbers written as text")
    raise CannotMend(f"{place} is sometimes {' and sometimes '.join(sorted(kinds))}")


def in_list(value: object) -> object:
    """A list of one path."""
    return [value] if isinstance(value, str) else value


def as_text(value: object) -> object:
    """A number or a boolean as it is spelt."""
    return spelling(value) if isinstance(value, bool | int | float) else value


def kinds_at(row: object, place: str) -> Iterator[str]:
    """The kinds of value that a row has at a column path; null is none."""
    for value in values_at(row, path_of(place)):
        if value is not None:
            yield kind_of(value)


def kind_of(value: object) -> str:
    """A JSON value's kind."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "long number"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "list" if isinstance(value, list) else "object"


def path_of(place: str) -> tuple[str, ...]:
    """`messages[].content` as steps."""
    return tuple(match[1] or ALL for match in STEP.finditer(place))


def values_at(value: object, path: tuple[str, ...]) -> Iterator[object]:
    """Every value at a column path."""
    if not path:
        yield value
    elif path[0] == ALL and isinstance(value, list):
        for item in value:
            yield from values_at(item, path[1:])
    elif isinstance(value, Mapping) and path[0] in value:
        yield from values_at(value[path[0]], path[1:])


def changed(value: object, path: tuple[str, ...], change: Callable[[object], object]) -> object:
    """The value with every value at a column path changed; what stays as it is, is shared."""
    if not path:
        return change(value)
    if path[0] == ALL and isinstance(value, list):
        items = [changed(item, path[1:], change) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if isinstance(value, Mapping) and path[0] in value:
        new = changed(value[path[0]], path[1:], change)
        return value if new is value[path[0]] else {**value, path[0]: new}
    return value
