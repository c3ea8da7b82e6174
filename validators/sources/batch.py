"""The nouns of a read dataset: flat columns of turns and media, the faults of form, and the census."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import polars as pl

from validators.model import MediaKind, Role

TURNS = pl.Schema(
    {
        "row": pl.Int64,
        "turn": pl.Int32,
        "pos": pl.Int32,
        "role": pl.String,
        "content": pl.String,
        "system": pl.Boolean,
        "canon": pl.String,
        "fits": pl.Boolean,
        "place": pl.String,
    }
)
MEDIA = pl.Schema({"row": pl.Int64, "kind": pl.String, "slot": pl.Int32, "path": pl.String})
ROWS = pl.Schema({"row": pl.Int64, "line": pl.Int64, "turns": pl.Int32, "readable": pl.Boolean, "tools": pl.String})


class Shape(StrEnum):
    """What is wrong with a row's form, before any meaning."""

    ROW_NOT_OBJECT = "row-not-object"
    MESSAGES_NOT_LIST = "messages-not-list"
    MESSAGE_NOT_OBJECT = "message-not-object"
    CONTENT_NOT_TEXT = "content-not-text"
    MEDIA_NOT_PATH = "media-not-path"
    """An entry over which the converter itself stumbles."""
    MEDIA_REFUSED = "media-refused"
    """An entry that passes the converter and that the media plugin refuses."""
    ROLE_UNKNOWN = "role-unknown"
    """A role that the openai converter has no name for."""
    TOOL_CALL = "tool-call"
    QUESTION_NOT_TEXT = "question-not-text"
    ANSWER_NOT_TEXT = "answer-not-text"
    KTO_LABEL = "kto-label"


@dataclass(frozen=True, slots=True)
class ShapeFault:
    """A shape fault and its place in the row."""

    shape: Shape
    row: int
    place: str
    found: str


class LoadKind(StrEnum):
    """What goes wrong, or strangely, between the file and the converter."""

    MIXED_TYPES = "mixed-types"
    SCHEMA_CHANGE = "schema-change"
    RETYPED = "retyped"
    LATE_VALUES = "late-values"
    ALL_DROPPED = "all-dropped"


@dataclass(frozen=True, slots=True)
class LoadFault:
    """A fault of a whole file or dataset: `row` counts within the file, `place` is a column path."""

    kind: LoadKind
    file: Path
    row: int | None
    place: str
    found: str
    expected: str
    cure: str = ""


@dataclass(slots=True)
class Census:
    """What the whole dataset's rows have between them; filled while batches pass."""

    rows: int = 0
    columns: Counter[str] = field(default_factory=Counter)
    message_keys: Counter[str] = field(default_factory=Counter)
    roles: Counter[str] = field(default_factory=Counter)
    media: Counter[str] = field(default_factory=Counter)
    """Rows that have at least one entry, by media column name."""
    load_faults: list[LoadFault] = field(default_factory=list)
    loaded: int = 0
    """Rows that the loader read, before split and max_samples took their part."""
    unled: int = 0
    """Rows without a system turn of their own, for which the system column is looked up."""
    answers: Counter[str] = field(default_factory=Counter)
    """Answers: `all` of them, those that are `padded` with white space, and those with carriage `returns`."""
    judged: list[tuple[int, int]] = field(default_factory=list)
    """Stretches of row numbers that were judged: first, and the one after the last."""
    first_seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    """For images, videos, audios, system and tools: the first judged row that has one, counted and as numbered."""

    def see_answers(self, turns: pl.DataFrame) -> None:
        """Count the answers among some turns."""
        text = pl.col("content")
        counts = turns.filter(pl.col("canon") == Role.ASSISTANT.value).select(
            pl.len().alias("all"),
            (text.str.strip_chars().str.len_bytes() != text.str.len_bytes()).sum().alias("padded"),
            text.str.contains("\r", literal=True).sum().alias("returns"),
        )
        self.answers.update(counts.row(0, named=True))

    def see(self, name: str, ordinal: int, row: int) -> None:
        """Note a value under an aligned column."""
        if name not in self.first_seen:
            self.first_seen[name] = (ordinal, row)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive rows of one dataset as columns.

    turns: row, turn (index in the row's list; the first of joined tool responses), pos (index among the aligned
    turns, after a leading system turn was taken out; -1 for that turn), role (the data's own word), content, system,
    canon (the trainer's Role, null where it has none), fits (whether the role is accepted at this position), place
    (null where it follows from `turn`: see DatasetEntry.place). media: row, kind, slot, path (null where the entry is
    no path). rows: row, line, turns, readable (false when a shape fault stops the converter at the row),
    tools (the text that the trainer gets, null for none). Rows count from 0 over the dataset, across its files.
    """

    rows: pl.DataFrame
    turns: pl.DataFrame
    media: pl.DataFrame
    faults: tuple[ShapeFault, ...]
    frames: Mapping[tuple[int, int], tuple[str, ...]] = field(default_factory=dict)
    """By row and slot: the paths of videos that are given as lists of pictures (their `path` is null)."""
    inside: Mapping[tuple[int, str, int], bytes] = field(default_factory=dict)
    """By row, kind and slot: media whose bytes are in the data (their `path` is null)."""


def is_embedded(item: object, kind: MediaKind) -> bool:
    """Media that is not a path and that the trainer takes all the same: bytes of an image or a sound, a video's list
    of frames."""
    if kind is MediaKind.AUDIO:
        return isinstance(item, bytes)
    if kind is MediaKind.IMAGE:
        return isinstance(item, bytes) or (isinstance(item, Mapping) and {"bytes", "path"} <= item.keys())
    if kind is MediaKind.VIDEO:
        return isinstance(item, list) and bool(item) and all(isinstance(frame, str | Mapping) for frame in item)
    return False


def named_or_inside(item: object) -> str | bytes | None:
    """A media entry's path, or its bytes; of an object of both the bytes, where it has them (mm_plugin.py:
    _regularize_images), and else the path, from the working folder whatever media_dir is."""
    if isinstance(item, Mapping):
        data, path = item.get("bytes"), item.get("path")
        if isinstance(data, bytes):
            return data
        return os.path.abspath(path) if data is None and isinstance(path, str) else None  # noqa: PTH100 - no links followed
    return item if isinstance(item, str | bytes) else None


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
