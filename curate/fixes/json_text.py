"""JSON with places: what each value is and where it stands, so that a change can leave everything else as it is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from math import isnan

SPACE = re.compile(r"[ \t\r\n]*")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
WORDS: dict[str, object] = {
    "true": True,
    "false": False,
    "null": None,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
PIECE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]", re.DOTALL)


class Spelled(float):
    """A number with a fraction or an exponent, and the way it was written."""

    text: str

    def __new__(cls, text: str) -> Spelled:
        """From the text of a JSON number."""
        made = super().__new__(cls, text)
        made.text = text
        return made


DECODER = json.JSONDecoder(strict=False, parse_float=Spelled)


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its text's stretch; a list's items, an object's members in their order."""

    value: object
    start: int
    end: int
    items: tuple[Node, ...] = ()
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """A key, where its text starts and ends (with the quotes), and its value."""

    key: str
    start: int
    end: int
    node: Node


def parse(text: str, at: int = 0) -> Node:
    """The value that begins at this place; the text is known to be JSON."""
    at = skip(text, at)
    mark = text[at]
    if mark == "{":
        return parse_object(text, at)
    if mark == "[":
        return parse_list(text, at)
    if mark == '"':
        value, end = scanstring(text, at + 1, False)
        return Node(value, at, end)
    for word, meant in WORDS.items():
        if text.startswith(word, at):
            return Node(meant, at, at + len(word))
    number = NUMBER.match(text, at)
    if number is None:
        raise ValueError(f"no JSON at {at}")
    spelt = number[0]
    return Node(int(spelt) if spelt.lstrip("-").isdigit() else Spelled(spelt), at, number.end())


def parse_object(text: str, start: int) -> Node:
    """An object from its brace on; of a key that is written twice, the last counts."""
    members: list[Member] = []
    at = skip(text, start + 1)
    while text[at] != "}":
        key, end = scanstring(text, at + 1, False)
        node = parse(text, skip(text, end) + 1)
        members.append(Member(key, at, end, node))
        at = skip(text, node.end)
        if text[at] == ",":
            at = skip(text, at + 1)
    return Node({item.key: item.node.value for item in members}, start, at + 1, members=tuple(members))


def parse_list(text: str, start: int) -> Node:
    """A list from its bracket on."""
    items: list[Node] = []
    at = skip(text, start + 1)
    while text[at] != "]":
        node = parse(text, at)
        items.append(node)
        at = skip(text, node.end)
        if text[at] == ",":
            at = skip(text, at + 1)
    return Node([item.value for item in items], start, at + 1, items=tuple(items))


def skip(text: str, at: int) -> int:
    """The next place that is no white space."""
    match = SPACE.match(text, at)
    return match.end() if match else at


def same(one: object, other: object) -> bool:
    """Whether two values are written alike: 1, 1.0 and true are three."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(item, other[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (isnan(one) and isnan(other))
    return type(one) is type(other) and one == other


def spelling(value: object) -> str:
    """A number or a boolean as the file has it, to be written as text."""
    if isinstance(value, Spelled):
        return value.text
    return json.dumps(value, ensure_ascii=False)


def pieces(raw: str) -> list[str]:
    """The inside of a string literal, cut into what makes one character each."""
    return PIECE.findall(raw)
