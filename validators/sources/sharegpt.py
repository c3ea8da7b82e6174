"""Rows to columns: one flat table of turns, one of media references, and the shape faults met on the way.

Access follows llamafactory 0.9.5, data/converter.py: SharegptDatasetConverter. A key that only some rows lack is
None there (Arrow fills it); a key that no row has is a KeyError, which the dataset-wide census tells apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import polars as pl

from validators.model import MediaKind
from validators.sources.dataset_info import DatasetEntry
from validators.sources.rows import RawRow

TURNS = pl.Schema(
    {
        "row": pl.Int64,
        "turn": pl.Int32,
        "pos": pl.Int32,
        "role": pl.String,
        "content": pl.String,
        "system": pl.Boolean,
    }
)
MEDIA = pl.Schema({"row": pl.Int64, "kind": pl.String, "slot": pl.Int32, "path": pl.String})
ROWS = pl.Schema({"row": pl.Int64, "line": pl.Int64, "turns": pl.Int32, "readable": pl.Boolean})


class Shape(StrEnum):
    """What is wrong with a row's form, before any meaning."""

    ROW_NOT_OBJECT = "row-not-object"
    MESSAGES_NOT_LIST = "messages-not-list"
    MESSAGE_NOT_OBJECT = "message-not-object"
    CONTENT_NOT_TEXT = "content-not-text"
    MEDIA_NOT_PATH = "media-not-path"


@dataclass(frozen=True, slots=True)
class ShapeFault:
    """A shape fault and its place in the row."""

    shape: Shape
    row: int
    place: str
    found: str


@dataclass(slots=True)
class Census:
    """What the whole dataset's rows have between them; filled while batches pass."""

    rows: int = 0
    columns: Counter[str] = field(default_factory=Counter)
    message_keys: Counter[str] = field(default_factory=Counter)
    roles: Counter[str] = field(default_factory=Counter)
    media: Counter[str] = field(default_factory=Counter)
    """Rows that have at least one entry, by media column name."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive rows of one dataset as columns.

    turns: row, turn (index in the row's list), pos (index after a leading system turn was taken out; -1 for that
    turn), role, content, system. media: row, kind, slot, path (null where the entry is no path). rows: row, line,
    turns, readable (false when a shape fault keeps the row from being judged further).
    """

    rows: pl.DataFrame
    turns: pl.DataFrame
    media: pl.DataFrame
    faults: tuple[ShapeFault, ...]


def flatten(raw_rows: Iterable[RawRow], entry: DatasetEntry, census: Census) -> Batch:
    """Turn decoded rows into a Batch, noting faults and filling the census."""
    columns = Columns(entry, census)
    for raw in raw_rows:
        columns.add(raw)
    return columns.batch()


class Columns:
    """Column buffers of one batch."""

    def __init__(self, entry: DatasetEntry, census: Census) -> None:
        self.entry = entry
        self.census = census
        self.role_key = entry.tags["role_tag"]
        self.content_key = entry.tags["content_tag"]
        self.system_tag = entry.tags["system_tag"]
        self.system_column = entry.columns["system"]
        self.rows: list[tuple[int, int, int, bool]] = []
        self.turns: list[tuple[int, int, int, str | None, str | None, bool]] = []
        self.media: list[tuple[int, str, int, str | None]] = []
        self.faults: list[ShapeFault] = []

    def add(self, raw: RawRow) -> None:
        """Take one row apart."""
        self.census.rows += 1
        row, value = raw.row, raw.value
        before = len(self.faults)
        count = 0
        if isinstance(value, Mapping):
            self.census.columns.update(value.keys())
            count = self.add_turns(row, value)
            self.add_media(row, value)
        else:
            self.faults.append(ShapeFault(Shape.ROW_NOT_OBJECT, row, "", kind_of(value)))
        self.rows.append((row, raw.line, count, len(self.faults) == before))

    def add_turns(self, row: int, value: Mapping[str, object]) -> int:
        """The row's messages and its system column; returns the number of messages."""
        column = self.entry.columns["messages"]
        messages = value.get(column) if column is not None else None
        if not isinstance(messages, list):
            # a column that no row has is one finding for the dataset, not one a row
            if column in value or self.census.columns[column or ""] > 0:
                self.faults.append(ShapeFault(Shape.MESSAGES_NOT_LIST, row, str(column), kind_of(messages)))
            return 0
        shift = 0
        if self.system_column is not None and isinstance(text := value.get(self.system_column), str) and text:
            self.turns.append((row, -1, -1, self.system_tag, text, True))
        for turn, message in enumerate(messages):
            if not isinstance(message, Mapping):
                self.faults.append(ShapeFault(Shape.MESSAGE_NOT_OBJECT, row, f"{column}[{turn}]", kind_of(message)))
                continue
            self.census.message_keys.update(message.keys())
            role = message.get(self.role_key) if self.role_key is not None else None
            content = message.get(self.content_key) if self.content_key is not None else None
            role_text = role if isinstance(role, str) or role is None else str(role)
            self.census.roles[str(role_text)] += 1
            if not isinstance(content, str) and self.content_key in message:
                place = f"{column}[{turn}].{self.content_key}"
                self.faults.append(ShapeFault(Shape.CONTENT_NOT_TEXT, row, place, kind_of(content)))
            is_system = turn == 0 and bool(self.system_tag) and role_text == self.system_tag
            if is_system:
                shift = 1
                if self.turns and self.turns[-1][0] == row:  # the turn overrides the column
                    self.turns.pop()
            pos = -1 if is_system else turn - shift
            self.turns.append((row, turn, pos, role_text, content if isinstance(content, str) else None, is_system))
        return len(messages)

    def add_media(self, row: int, value: Mapping[str, object]) -> None:
        """The row's media lists, as `_find_medias` sees them: a single entry counts as a list of one."""
        for kind in MediaKind:
            column = self.entry.media_column(kind)
            entries = value.get(column) if column is not None else None
            items: Sequence[object] = entries if isinstance(entries, list) else [] if entries is None else [entries]
            if items:
                self.census.media[str(column)] += 1
            for slot, item in enumerate(items):
                path = item if isinstance(item, str) else None
                self.media.append((row, kind.value, slot, path))
                if not isinstance(item, str) and not is_embedded(item, kind):
                    place = f"{column}[{slot}]"
                    self.faults.append(ShapeFault(Shape.MEDIA_NOT_PATH, row, place, kind_of(item)))

    def batch(self) -> Batch:
        """The buffers as frames."""
        return Batch(
            pl.DataFrame(self.rows, schema=ROWS, orient="row"),
            pl.DataFrame(self.turns, schema=TURNS, orient="row"),
            pl.DataFrame(self.media, schema=MEDIA, orient="row"),
            tuple(self.faults),
        )


def is_embedded(item: object, kind: MediaKind) -> bool:
    """Media that is not a path and that the trainer takes all the same: bytes of an image, a video's list of frames."""
    if kind is MediaKind.IMAGE:
        return isinstance(item, bytes) or (isinstance(item, Mapping) and {"bytes", "path"} <= item.keys())
    if kind is MediaKind.VIDEO:
        return isinstance(item, list) and bool(item) and all(isinstance(frame, str | Mapping) for frame in item)
    return False


def kind_of(value: object) -> str:
    """A JSON value's kind, in words for a message."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    if value is None:
        return "null"
    if isinstance(value, str) and len(value) <= 40:
        return f"the string {value!r}"
    return names.get(type(value), type(value).__name__)
