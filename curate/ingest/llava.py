"""LLaVA's JSON: `image` (or `video`, `audio`; a path or a list) and `conversations` of from and value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from curate.ingest.raw import RawItem, turns_of
from validators.model import MediaKind
from validators.sources.rows import iter_rows


def read(path: Path) -> Iterator[RawItem]:
    """Stream the rows; broken JSON raises SourceFault with its line."""
    for raw in iter_rows(path):
        yield item(path, raw.row, raw.value)


def item(path: Path, row: int, value: object) -> RawItem:
    """One row; its modality is the key's, not the file name's."""
    if not isinstance(value, Mapping):
        return RawItem(path, row, problem="the row is no object")
    media: list[tuple[MediaKind, str]] = []
    for kind in MediaKind:
        given = value.get(kind.value, [])
        for entry in given if isinstance(given, list) else [given]:
            if not isinstance(entry, str) or not entry:
                return RawItem(path, row, problem=f"{kind.value} is {entry!r}")
            media.append((kind, entry))
    turns = turns_of(value.get("conversations"), "from", "value")
    if isinstance(turns, str):
        return RawItem(path, row, tuple(media), problem=turns)
    return RawItem(path, row, tuple(media), turns)
