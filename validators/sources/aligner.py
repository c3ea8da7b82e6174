"""Column buffers of one batch, and what the three formats have in common: media, tools, the label of KTO.

Source: llamafactory 0.9.5, data/converter.py: DatasetConverter._find_medias and the tails of the converters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeGuard

import polars as pl

from validators.model import MediaKind, Role
from validators.sources.batch import (
    MEDIA,
    ROWS,
    TURNS,
    Batch,
    Census,
    Shape,
    ShapeFault,
    is_embedded,
    kind_of,
    named_or_inside,
)
from validators.sources.dataset_info import DatasetEntry
from validators.sources.rows import RawRow

AFTER_CONVERTER = frozenset([Shape.CONTENT_NOT_TEXT, Shape.MEDIA_REFUSED])
"""Faults at which the trainer stops later, unless it drops the row before."""
FIRST_HALVES = re.compile("[\ud800-\udbff]")
Turn = tuple[int, int, int, str | None, str | None, bool, str | None, bool, str | None]


class Aligner:
    """Takes rows apart as a converter does; each format fills in `align`."""

    def __init__(self, entry: DatasetEntry, census: Census) -> None:
        self.entry = entry
        self.census = census
        self.column = entry.columns["messages"]
        self.role_key = entry.tags["role_tag"]
        self.content_key = entry.tags["content_tag"]
        self.system_tag = entry.tags["system_tag"]
        self.system_column = entry.columns["system"]
        self.tools_column = entry.columns["tools"]
        self.names = entry.role_names()
        self.accepted = entry.accepted()
        self.ordinal = 0
        self.rows: list[tuple[int, int, int, bool, str | None]] = []
        self.turns: list[Turn] = []
        self.media: list[tuple[int, str, int, str | None]] = []
        self.faults: list[ShapeFault] = []
        self.frames: dict[tuple[int, int], tuple[str, ...]] = {}
        self.inside: dict[tuple[int, str, int], bytes] = {}

    def add(self, raw: RawRow) -> None:
        """Take one row apart."""
        self.ordinal = self.census.rows
        self.census.rows += 1
        row, value = raw.row, raw.value
        before = len(self.faults)
        count, tools = 0, None
        if isinstance(value, Mapping):
            self.census.columns.update(value.keys())
            tools = self.tools(value)
            if not self.tools_column or value.get(self.tools_column) is not None:
                self.census.see("tools", self.ordinal, row)
            given = value.get(self.tools_column) if self.tools_column else None
            if tools is None and given:
                self.fault(Shape.CONTENT_NOT_TEXT, row, str(self.tools_column), given)
            count = self.align(row, value)
            self.add_label(row, value)
            self.add_media(row, value)
        else:
            self.fault(Shape.ROW_NOT_OBJECT, row, "", value)
        readable = all(fault.shape in AFTER_CONVERTER for fault in self.faults[before:])
        self.rows.append((row, raw.line, count, readable, tools))

    def align(self, row: int, value: Mapping[str, object]) -> int:
        """The row's turns; returns the number of messages that it holds."""
        raise NotImplementedError

    def tools(self, value: Mapping[str, object]) -> str | None:
        """The text under `tools`, as the converter hands it on."""
        tools = value.get(self.tools_column) if self.tools_column is not None else None
        return storable(tools) if isinstance(tools, str) else None

    def messages(self, row: int, value: Mapping[str, object]) -> list[object] | None:
        """The list of messages; None, with the fault noted, where iterating it fails. An empty anything is empty."""
        messages = value.get(self.column) if self.column is not None else None
        if isinstance(messages, list):
            return messages
        if isinstance(messages, str | Mapping) and not messages:
            return []
        # a column that no row has is one finding for the dataset, not one a row
        if self.column in value or self.census.columns[self.column or ""] > 0:
            self.fault(Shape.MESSAGES_NOT_LIST, row, str(self.column), messages)
        return None

    def add_system(self, row: int, turn: int, content: object, place: str) -> None:
        """The system prompt; one that is empty or null gives way to the template's."""
        if content is not None:
            self.census.see("system", self.ordinal, row)
            self.census.see("text" if isinstance(content, str) else "no text", self.ordinal, row)
        role = self.system_tag if self.system_tag is not None else "system"
        if content and not isinstance(content, str):
            self.fault(Shape.CONTENT_NOT_TEXT, row, place, content)
        text = storable(content) if isinstance(content, str) else ""
        if turn < 0 and not text:
            return
        self.turns.append((row, turn, -1, role, text, True, Role.SYSTEM.value, True, place if turn < 0 else None))

    def add_label(self, row: int, value: Mapping[str, object]) -> None:
        """A boolean under kto_tag gives the row two answers, and SFT drops it."""
        column = self.entry.columns["kto_tag"]
        if column is not None and isinstance(value.get(column), bool):
            self.fault(Shape.KTO_LABEL, row, column, value[column])

    def add_media(self, row: int, value: Mapping[str, object]) -> None:
        """The row's media lists: the first entry decides whether all are joined to the folder as paths."""
        for kind in MediaKind:
            column = self.entry.media_column(kind)
            entries = value.get(column) if column is not None else None
            items: Sequence[object] = entries if isinstance(entries, list) else [] if entries is None else [entries]
            if items:
                self.census.media[str(column)] += 1
                self.census.see(kind.column, self.ordinal, row)
            for slot, item in enumerate(items):
                given = named_or_inside(item)
                path = storable(given) if isinstance(given, str) else None
                if isinstance(given, bytes):
                    self.inside[row, kind.value, slot] = given
                self.media.append((row, kind.value, slot, path))
                if kind is MediaKind.VIDEO and isinstance(item, list) and item and is_texts(item):
                    self.frames[row, slot] = tuple(storable(frame) for frame in item)
                shape = entry_fault(items[0], item, kind)
                if shape is not None:
                    self.fault(shape, row, f"{column}[{slot}]", item)

    def fault(self, shape: Shape, row: int, place: str, value: object) -> None:
        """Note a fault with what stands there."""
        self.faults.append(ShapeFault(shape, row, place, kind_of(value)))

    def batch(self) -> Batch:
        """The buffers as frames."""
        return Batch(
            pl.DataFrame(self.rows, schema=ROWS, orient="row"),
            pl.DataFrame(self.turns, schema=TURNS, orient="row"),
            pl.DataFrame(self.media, schema=MEDIA, orient="row"),
            tuple(self.faults),
            self.frames,
            self.inside,
        )


def entry_fault(first: object, item: object, kind: MediaKind) -> Shape | None:
    """What the converter, or the plugin after it, makes of one media entry; `first` is its list's first."""
    if isinstance(first, str):
        return None if isinstance(item, str) else Shape.MEDIA_NOT_PATH
    if isinstance(first, list) and not (isinstance(item, list) and is_texts(item)):
        return Shape.MEDIA_NOT_PATH
    if isinstance(item, str) or is_embedded(item, kind):
        return None
    return Shape.MEDIA_REFUSED


def is_texts(items: list[object]) -> TypeGuard[list[str]]:
    """Whether a list holds nothing but text."""
    return all(isinstance(item, str) for item in items)


def storable(text: str) -> str:
    """The text without lone surrogates, which no column can hold.

    The loader drops a first half without its second (pandas' ujson); a second half alone stops it.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return FIRST_HALVES.sub("", text).encode("utf-8", "replace").decode("utf-8")
    return text
