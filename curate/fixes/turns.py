"""Where the texts of a conversation stand in a row, whatever its formatting; and a row with one value changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from validators.model import MediaKind, Role
from validators.sources.dataset_info import DatasetEntry

Path = tuple[str | int, ...]
STEP = re.compile(r"\[(\d+)\]|\.?([^.\[\]]+)")


@dataclass(frozen=True, slots=True)
class Turn:
    """A text in which tags count, its place in the row, and whether it is a question."""

    path: Path
    role: Role | None
    text: str

    @property
    def asks(self) -> bool:
        """Whether the user, or a tool, speaks."""
        return self.role in (Role.USER, Role.OBSERVATION)


def turns_of(row: Mapping[str, object], entry: DatasetEntry) -> list[Turn]:
    """All texts but the system prompt, in the order in which the trainer sees them."""
    return list(alpaca_turns(row, entry) if entry.formatting == "alpaca" else listed_turns(row, entry))


def listed_turns(row: Mapping[str, object], entry: DatasetEntry) -> Iterator[Turn]:
    """The texts of a list of messages."""
    column, role_key, content_key = entry.columns["messages"], entry.tags["role_tag"], entry.tags["content_tag"]
    messages = row.get(column) if column else None
    names = entry.role_names()
    if column is None or content_key is None or not isinstance(messages, list):
        return
    for number, message in enumerate(messages):
        if isinstance(message, Mapping) and isinstance(text := message.get(content_key), str):
            word = message.get(role_key) if role_key else None
            role = Role(names[word]) if isinstance(word, str) and word in names else None
            if number or role is not Role.SYSTEM:
                yield Turn((column, number, content_key), role, text)


def alpaca_turns(row: Mapping[str, object], entry: DatasetEntry) -> Iterator[Turn]:
    """Earlier pairs, then question, input and answer."""
    history = row.get(entry.columns["history"] or "")
    for number, pair in enumerate(history if isinstance(history, list) else ()):
        if isinstance(pair, list) and len(pair) == 2:
            for side, role in enumerate((Role.USER, Role.ASSISTANT)):
                if isinstance(pair[side], str):
                    yield Turn((str(entry.columns["history"]), number, side), role, pair[side])
    for key, role in (("prompt", Role.USER), ("query", Role.USER), ("response", Role.ASSISTANT)):
        column = entry.columns[key]
        if column is not None and isinstance(text := row.get(column), str):
            yield Turn((column,), role, text)


def entries_of(row: Mapping[str, object], entry: DatasetEntry, kind: MediaKind) -> list[object]:
    """The row's media of a kind, one alone as a list of one."""
    column = entry.media_column(kind)
    given = row.get(column) if column is not None else None
    return given if isinstance(given, list) else [] if given is None else [given]


def steps(place: str) -> Path:
    """`messages[3].content` as steps; a column whose name has dots or brackets in it is not found so."""
    return tuple(int(number) if number else name for number, name in STEP.findall(place))


def at(value: object, path: Path) -> object:
    """The value at a place; None where there is none."""
    for step in path:
        if isinstance(value, Mapping) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def put(value: object, path: Path, new: object) -> object:
    """The value with another one at a place; all that the place is not in is shared."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(value, Mapping) and isinstance(step, str):
        return {**value, step: put(value.get(step), rest, new)}
    if isinstance(value, list) and isinstance(step, int):
        return [put(item, rest, new) if number == step else item for number, item in enumerate(value)]
    raise LookupError(path)


def put_in_row(row: Mapping[str, object], path: Path, new: object) -> Mapping[str, object]:
    """The row with another value at a place."""
    made = put(row, path, new)
    assert isinstance(made, Mapping)
    return made
