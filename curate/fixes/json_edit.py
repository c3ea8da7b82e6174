"""The smallest change of a JSON text that gives it another value: what stays the same keeps its bytes.

New parts are written in the manner of their surroundings: indentation, spaces after comma and colon, line ends, and
whether characters beyond ASCII are escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from curate.fixes.json_text import Member, Node, Spelled, pieces, same

ESCAPED = re.compile(r"\\u[0-9a-fA-F]{4}")
SURROGATE = re.compile("[\ud800-\udfff]")


class CannotEdit(Exception):
    """A text that cannot be changed without a guess."""


@dataclass(frozen=True, slots=True)
class Change:
    """A stretch of text and what takes its place."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Style:
    """How a text is written. indent: one step of it; None where all stands on one line."""

    comma: str = ", "
    colon: str = ": "
    indent: str | None = None
    newline: str = "\n"
    ascii: bool = True
    slash: bool = False
    """Whether slashes are escaped."""
    short_lists: bool = False
    """Whether lists stand on one line among indented objects."""


def edited(text: str, node: Node, value: object, lead: str = "") -> str:
    """The text with another value in place of the node's. lead: the white space before the text on its first line."""
    style = style_of(text, node)
    known = {key(item.value): text[item.start : item.end] for item in scalars(node)}
    return applied(text, Editor(text, style, known, lead).changes(node, value))


def applied(text: str, changes: Iterator[Change]) -> str:
    """The text after changes that do not overlap, given in order."""
    parts: list[str] = []
    at = 0
    for change in changes:
        parts += [text[at : change.start], change.text]
        at = change.end
    return "".join([*parts, text[at:]])


def key(value: object) -> str:
    """A value as a text that only the same value has."""
    return json.dumps(value)


def scalars(node: Node) -> Iterator[Node]:
    """All values below that hold no others, and empty lists and objects."""
    if not node.items and not node.members:
        yield node
    for item in node.items:
        yield from scalars(item)
    for member in node.members:
        yield from scalars(member.node)


class Editor:
    """Finds the changes from a node to a value."""

    def __init__(self, text: str, style: Style, known: Mapping[str, str], lead: str) -> None:
        self.text = text
        self.style = style
        self.known = known
        self.lead = lead

    def changes(self, node: Node, value: object) -> Iterator[Change]:
        """In the order of the text."""
        if same(node.value, value):
            return
        if isinstance(node.value, dict) and isinstance(value, dict) and node.members and value:
            yield from self.of_object(node, value)
        elif isinstance(node.value, list) and isinstance(value, list) and node.items and value:
            yield from self.of_list(node, value)
        elif isinstance(node.value, str) and isinstance(value, str):
            yield Change(node.start, node.end, self.respelt(self.text[node.start : node.end], node.value, value))
        else:
            yield Change(node.start, node.end, self.written(value, self.depth_at(node.start), node))

    def of_object(self, node: Node, value: Mapping[str, object]) -> Iterator[Change]:
        """Members kept, renamed, taken out and put in."""
        members = node.members
        if len({member.key for member in members}) < len(members):
            raise CannotEdit("a key is written twice in one object")
        old, new = [member.key for member in members], list(value)
        if set(old) <= set(new):  # the order of keys means nothing: only what is new is placed
            new = old + [item for item in new if item not in set(old)] if not in_order(old, new) else new
        gone: list[int] = []
        for tag, start, stop, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag == "equal":
                for member, name in zip(members[start:stop], new[first:last], strict=True):
                    yield from self.changes(member.node, value[name])
                continue
            both = min(stop - start, last - first)
            for member, name in zip(members[start : start + both], new[first : first + both], strict=True):
                yield Change(member.start, member.end, self.string(name))
                yield from self.changes(member.node, value[name])
            gone += range(start + both, stop)
            if first + both < last:
                texts = [self.member(name, value[name], node) for name in new[first + both : last]]
                yield self.inserted(node, members, start + both, texts)
            if start + both < stop:
                yield self.removed(node, members, start + both, stop)

    def of_list(self, node: Node, value: Sequence[object]) -> Iterator[Change]:
        """Items kept, changed, taken out and put in."""
        old, new = [key(item.value) for item in node.items], [key(item) for item in value]
        for tag, start, stop, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag == "equal":
                continue
            both = min(stop - start, last - first)
            for item, wanted in zip(node.items[start : start + both], value[first : first + both], strict=True):
                yield from self.changes(item, wanted)
            if first + both < last:
                depth = self.depth_at(node.start) + 1
                texts = [self.written(wanted, depth, None) for wanted in value[first + both : last]]
                yield self.inserted(node, node.items, start + both, texts)
            if start + both < stop:
                yield self.removed(node, node.items, start + both, stop)

    def member(self, name: str, value: object, node: Node) -> str:
        """A new member of an object."""
        return self.string(name) + self.style.colon + self.written(value, self.depth_at(node.start) + 1, None)

    def inserted(self, node: Node, parts: Sequence[Node | Member], at: int, texts: list[str]) -> Change:
        """Texts put in before the part of that number, or after the last."""
        between = self.between(node, parts)
        if at < len(parts):
            place = parts[at].start
            return Change(place, place, "".join(text + between for text in texts))
        place = end_of(parts[-1])
        return Change(place, place, "".join(between + text for text in texts))

    def removed(self, node: Node, parts: Sequence[Node | Member], start: int, stop: int) -> Change:
        """Parts taken out, with the comma before them or, for the first, after them."""
        if start > 0:
            return Change(end_of(parts[start - 1]), end_of(parts[stop - 1]), "")
        if stop < len(parts):
            return Change(parts[0].start, parts[stop].start, "")
        return Change(node.start + 1, node.end - 1, "")

    def between(self, node: Node, parts: Sequence[Node | Member]) -> str:
        """What stands between two parts: the comma and the white space around it."""
        if len(parts) > 1:
            return self.text[end_of(parts[0]) : parts[1].start]
        opening = self.text[node.start + 1 : parts[0].start]
        return "," + opening if "\n" in opening else self.style.comma

    def depth_at(self, place: int) -> int:
        """Steps of indentation of the line on which a place stands."""
        if not self.style.indent:
            return 0
        start = self.text.rfind("\n", 0, place) + 1
        line = self.text[start:place]
        white = line[: len(line) - len(line.lstrip())] if start else self.lead
        return len(white) // len(self.style.indent)

    def written(self, value: object, depth: int, replaced: Node | None) -> str:
        """A value in the text's own manner; texts that the row has keep their spelling."""
        if isinstance(value, list | dict) and value:
            parts = (
                [self.written(item, depth + 1, None) for item in value]
                if isinstance(value, list)
                else [
                    self.string(str(name)) + self.style.colon + self.written(item, depth + 1, None)
                    for name, item in value.items()
                ]
            )
            marks = "[]" if isinstance(value, list) else "{}"
            if self.style.indent is None or (self.style.short_lists and isinstance(value, list)):
                return marks[0] + self.style.comma.join(parts) + marks[1]
            line = self.style.newline + self.style.indent * (depth + 1)
            end = self.style.newline + self.style.indent * depth
            return marks[0] + line + ("," + line).join(parts) + end + marks[1]
        if replaced is None and key(value) in self.known:
            return self.known[key(value)]
        if isinstance(value, str):
            return self.known.get(key(value)) or self.string(value)
        return value.text if isinstance(value, Spelled) else json.dumps(value)

    def string(self, value: str) -> str:
        """A string literal by the text's habits."""
        return quoted(value, self.style)

    def respelt(self, raw: str, old: str, new: str) -> str:
        """A string literal with another value: what is the same at its start and end keeps its spelling."""
        spelt = pieces(raw[1:-1])
        if len(spelt) != len(old):  # a string with lone surrogates side by side
            return self.string(new)
        front = common(old, new)
        back = common(old[front:][::-1], new[front:][::-1])
        middle = quoted(new[front : len(new) - back], habit(raw, self.style))[1:-1]
        return '"' + "".join(spelt[:front]) + middle + "".join(spelt[len(spelt) - back :]) + '"'


def in_order(old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether the old keys stand among the new ones in their order."""
    wanted = set(old)
    return [item for item in new if item in wanted] == list(old)


def common(one: str, other: str) -> int:
    """The number of characters at the start that are the same."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    low, high = 0, length
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def end_of(part: Node | Member) -> int:
    """Where an item or a member ends."""
    return part.end if isinstance(part, Node) else part.node.end


def quoted(value: str, style: Style) -> str:
    """A string literal. Lone surrogates are always escaped: no encoding holds them."""
    text = json.dumps(value, ensure_ascii=style.ascii)
    if not style.ascii:
        text = SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text.replace("/", "\\/") if style.slash else text


def habit(raw: str, style: Style) -> Style:
    """What one string shows of how it was written, over what its row shows."""
    if not raw.isascii():
        style = replace(style, ascii=False)
    elif any(int(match[2:], 16) > 127 for match in ESCAPED.findall(raw)):
        style = replace(style, ascii=True)
    if "/" in raw:
        style = replace(style, slash="\\/" in raw)
    return style


def style_of(text: str, node: Node) -> Style:
    """How the text is written, by what it shows; where it shows nothing, as json.dumps writes."""
    style = habit(text, Style())
    if "/" not in text:
        style = replace(style, slash=False)
    if not ESCAPED.search(text):
        style = replace(style, ascii=False)
    lists = [item for item in walk(node) if item.items]
    objects = [item for item in walk(node) if item.members]
    if objects:
        first = objects[0].members[0]
        style = replace(style, colon=text[first.end : first.node.start])
    opened = next((item for item in objects if "\n" in text[item.start : item.members[0].start]), None)
    flat = [item for item in lists + objects if "\n" not in text[item.start : item.end]]
    gap = next(filter(None, (gap_of(text, item) for item in flat)), None)
    if gap is not None or style.colon == ":":
        style = replace(style, comma=gap or ",")
    if opened is None:
        return style
    space = text[opened.start + 1 : opened.members[0].start]
    outer = text[end_of(opened.members[-1]) : opened.end - 1]
    inner, closing = space.rpartition("\n")[2], outer.rpartition("\n")[2]
    step = inner.removeprefix(closing) if "\n" in outer else inner
    short = bool(lists) and all("\n" not in text[item.start : item.items[0].start] for item in lists)
    return replace(style, indent=step or None, newline="\r\n" if "\r\n" in space else "\n", short_lists=short)


def gap_of(text: str, node: Node) -> str:
    """What stands between the first two parts; "" where there are none."""
    parts: Sequence[Node | Member] = node.members or node.items
    return text[end_of(parts[0]) : parts[1].start] if len(parts) > 1 else ""


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield node
    for item in node.items:
        yield from walk(item)
    for member in node.members:
        yield from walk(member.node)
