"""Files beside each other on disk: their paths from the media root, texts of a bearable size, folders of splits."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from curate.ingest.raw import Intake, NoUse, kind_by_suffix
from validators.errors import UsageFault

MAX_TEXT_BYTES = 1 << 20
# the folder names by which `datasets` tells splits (4.0.0, data_files.py: SPLIT_KEYWORDS), the commonest first
SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
ALL = "all"


def from_root(file: Path, media_root: Path) -> str:
    """A file's path from the media root; NoUse where it lies elsewhere."""
    try:
        return file.resolve().relative_to(media_root).as_posix()
    except ValueError:
        raise NoUse(f"{file} lies outside the media root") from None


def lies_there(file: Path) -> bool:
    """Whether a file of that name is there: none is where the name is longer than names can be, or holds a NUL."""
    return os.path.isfile(file)  # noqa: PTH113 - Path.is_file raises for such names


def is_hidden(item: Path, folder: Path) -> bool:
    """Whether a file's name, or that of a folder above it, begins with a dot: `datasets` passes over such (4.0.0,
    data_files.py), and a build's own work lies in one."""
    return any(part.startswith(".") for part in item.relative_to(folder).parts)


def media_files(folder: Path) -> Iterator[Path]:
    """The media below a folder in the order of their names; hidden ones are passed over."""
    for item in sorted(folder.rglob("*")):
        if kind_by_suffix(item.name) is not None and item.is_file() and not is_hidden(item, folder):
            yield item


def text_of(file: Path) -> str:
    """A small text file."""
    if file.stat().st_size > MAX_TEXT_BYTES:
        raise NoUse(f"{file.name} is larger than {MAX_TEXT_BYTES >> 20} MiB")
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise NoUse(f"{file.name} is not UTF-8") from None


def wanted(intake: Intake, splits: Sequence[str]) -> tuple[str, ...]:
    """The splits to read: the one that is named, all of them, `train`, or the only one."""
    named = intake.options.split
    if named == ALL:
        return tuple(splits)
    if named is None and len(splits) == 1:
        return tuple(splits)
    chosen = named or "train"
    if chosen not in splits:
        raise UsageFault(intake.path, f"no split {chosen!r}", f"split: one of {', '.join(splits)}, or {ALL}")
    return (chosen,)


def unwanted(intake: Intake, splits: Sequence[str]) -> tuple[str, ...]:
    """The splits that are not read."""
    return tuple(f"split {split}" for split in splits if split not in wanted(intake, splits))
