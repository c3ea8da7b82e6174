"""The folder beside a target in which a build keeps what the next one need not make again: `.TARGET.work`.

It can be removed at any time; all of it is found out and made again. While a build writes, the lock of its target
keeps others out of it, too.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from curate.work.memory import Memory
from curate.work.stages import Stages

PACKAGES = ("av", "datasets", "ftfy", "mmcurate", "numpy", "pillow", "polars", "pyarrow", "soundfile", "tokenizers")
"""What a build's bytes depend on."""
BOOT = Path("/proc/sys/kernel/random/boot_id")
OPEN = "open"


@dataclass(frozen=True, slots=True)
class Work:
    """Finished parts, the files that were put in place, and the memory of both."""

    stages: Stages
    files: Path
    memory: Memory


def folder_of(target: Path) -> Path:
    """Where a target's work is kept."""
    return target.parent / f".{target.name}.work"


@contextmanager
def working(target: Path, fresh: bool = False) -> Iterator[Work]:
    """The work of a target, held by whoever has its lock. fresh: nothing of earlier builds is used."""
    folder = folder_of(target)
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    work = opened(folder, target)
    # a machine that went down in the middle of a build may have lost bytes whose names and sizes are on its disk
    if work.memory.fact(OPEN) not in (None, "", boot()):
        work.memory.close()
        shutil.rmtree(folder)
        folder.mkdir()
        work = opened(folder, target)
    work.memory.know_fact(OPEN, boot())
    try:
        yield work
        work.memory.know_fact(OPEN, "")
    finally:
        work.memory.close()


def opened(folder: Path, target: Path) -> Work:
    """The parts of a work folder."""
    # a target inside a source folder is no part of the source
    leave = frozenset(str(item) for item in (folder, target, target.parent / f".{target.name}.staging"))
    return Work(Stages(folder / "stages", leave), folder / "files", Memory(folder / "memory.sqlite"))


def boot() -> str:
    """The time between two starts of the machine that this is; constant where the system does not tell."""
    with suppress(OSError):
        return BOOT.read_text(encoding="ascii").strip()
    return "unknown"


def versions() -> dict[str, str]:
    """The packages on which a build's bytes depend, and Python."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


@cache
def code() -> str:
    """What makes the parts: the versions, and the files of this package as they are."""
    seen = hashlib.sha256(repr(sorted(versions().items())).encode())
    root = Path(__file__).resolve().parents[2]
    for room in ("curate", "validators"):
        for file in sorted((root / room).rglob("*.py")):
            status = file.stat()
            seen.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return seen.hexdigest()
