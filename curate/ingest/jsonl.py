"""JSON lines: `file_name` (a path or a list of paths) and `messages` of role and content, or a `caption`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from curate.ingest.raw import RawItem, media_of, turns_of
from validators.sources.rows import iter_rows


def read(path: Path) -> Iterator[RawItem]:
    """Stream the rows; broken JSON raises SourceFault with its line."""
    for raw in iter_rows(path):
        yield item(path, raw.row, raw.value)


def item(path: Path, row: int, value: object) -> RawItem:
    """One row."""
    if not isinstance(value, Mapping):
        return RawItem(path, row, problem="the row is no object")
    media = media_of(value["file_name"]) if "file_name" in value else ()
    if isinstance(media, str):
        return RawItem(path, row, problem=media)
    if "messages" not in value and isinstance(caption := value.get("caption"), str) and caption.strip():
        return RawItem(path, row, media, caption=caption.strip())
    turns = turns_of(value.get("messages"), "role", "content")
    if isinstance(turns, str):
        return RawItem(path, row, media, problem=turns)
    return RawItem(path, row, media, turns)
