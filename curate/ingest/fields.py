"""A row's fields under our names; remembers which were read, so that the rest can be named or kept."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from curate.ingest.raw import Media, Options, RawItem, Turn
from validators.model import MediaKind

NOTHING: tuple[object, ...] = (None, "", [], {})
"""Values that say nothing, so that no one misses them."""


MEDIA_FIELDS = frozenset(("file_name", *(name for kind in MediaKind for name in (kind.value, kind.column))))


def column_of(name: str, columns: Mapping[str, str]) -> str | None:
    """The source's column that feeds one of our fields; None where the one of its own name feeds another field.

    A medium inside a column, a.b, is also not read a second time as the medium a.
    """
    if name in columns:
        return columns[name]
    for ours, theirs in columns.items():
        both_media = ours in MEDIA_FIELDS and name in MEDIA_FIELDS
        if theirs == name or (both_media and theirs.partition(".")[0] == name):
            return None
    return name


class Fields:
    """The fields of one row; a column mapping gives the source's name for ours, and each column feeds one field."""

    def __init__(self, source: Path, row: int, value: Mapping[str, object], options: Options) -> None:
        self.source = source
        self.row = row
        self.value = value
        self.options = options
        self.read: set[str] = set()
        self.left: list[str] = []

    def __contains__(self, name: str) -> bool:
        return self.get(name, peek=True) is not None

    def named(self, name: str) -> str | None:
        """The source's name for one of our fields, None where it has none."""
        return column_of(name, self.options.columns)

    def get(self, name: str, peek: bool = False) -> object:
        """The field's value, null where there is none; `peek` does not count as reading."""
        key = self.named(name)
        if key is None:
            return None
        if not peek:
            self.read.add(key)
        return look_up(self.value, key)

    def text(self, name: str) -> str | None:
        """The field's text without white space around; None where it is no text, or an empty one."""
        value = self.verbatim(name)
        return value.strip() if value is not None else None

    def verbatim(self, name: str) -> str | None:
        """The field's text as it is; None where it is no text, or white space only."""
        value = self.get(name)
        return value if isinstance(value, str) and value.strip() else None

    def leave(self, *names: str) -> None:
        """Note parts of read fields that have no place in the canonical form."""
        self.left += names

    def unread(self) -> list[str]:
        """The keys that nothing was read from and that say something."""
        whole = self.read.union(key.partition(".")[0] for key in self.read if "." in key and key not in self.value)
        return [key for key, value in self.value.items() if key not in whole and value not in NOTHING]

    def item(
        self,
        media: Media = (),
        turns: tuple[Turn, ...] = (),
        caption: str | None = None,
        tools: str | None = None,
        problem: str = "",
    ) -> RawItem:
        """The raw row, with what was not read either kept as meta or named."""
        kept: dict[str, object] = {}
        left = list(self.left)
        keep = self.options.keep
        for key in self.unread():
            if (keep is None or key in keep) and is_plain(self.value[key]):
                kept[key] = self.value[key]
            else:
                left.append(key)
        meta = json.dumps(kept, ensure_ascii=False) if kept else None
        return RawItem(
            self.source, self.row, media, turns, caption, problem, tools, meta=meta, left=tuple(dict.fromkeys(left))
        )


def look_up(value: Mapping[str, object], key: str) -> object:
    """A key's value; where no such key is, a.b means b inside a."""
    if key in value:
        return value[key]
    if "." not in key:
        return None
    head, dot, rest = key.partition(".")
    inner = value.get(head)
    return look_up(inner, rest) if dot and isinstance(inner, Mapping) else None


def is_plain(value: object) -> bool:
    """Whether a value is text, a number or a truth value that JSON can hold."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int)
