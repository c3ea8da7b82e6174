"""A folder of media with a `.txt` caption of the same name beside each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from curate.ingest.raw import RawItem, kind_by_suffix

MAX_CAPTION_BYTES = 1 << 20


def read(path: Path, media_root: Path) -> Iterator[RawItem]:
    """The media below the folder in the order of their names; paths are given from the media root."""
    files = sorted(item for item in path.rglob("*") if item.is_file() and kind_by_suffix(item.name) is not None)
    for row, file in enumerate(files):
        kind = kind_by_suffix(file.name)
        if kind is None:
            continue
        try:
            name = file.resolve().relative_to(media_root).as_posix()
        except ValueError:
            yield RawItem(path, row, problem=f"{file} lies outside the media root")
            continue
        media = ((kind, name),)
        beside = file.with_suffix(".txt")
        if not beside.is_file():
            yield RawItem(path, row, media, problem=f"no caption {beside.name} beside {name}")
            continue
        if beside.stat().st_size > MAX_CAPTION_BYTES:
            yield RawItem(path, row, media, problem=f"{beside.name} is larger than 1 MiB")
            continue
        try:
            caption = beside.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:
            yield RawItem(path, row, media, problem=f"{beside.name} is not UTF-8")
            continue
        yield RawItem(path, row, media, caption=caption or None, problem="" if caption else "empty caption")
