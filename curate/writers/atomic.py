"""A folder is replaced as a whole, in one step, or not at all.

The new content is made in a hidden folder beside the target and flushed to disk; then both are exchanged by one
system call (renameat2 with RENAME_EXCHANGE, Linux 3.15). Where there is none, the old folder is renamed away first,
and `recover` puts it back if the process died between the two renames.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from validators.errors import UsageFault

AT_FDCWD = -100
RENAME_EXCHANGE = 2


@contextmanager
def replacing(target: Path, flushed: bool = True) -> Iterator[Path]:
    """Give a staging folder; when the block ends well it becomes `target`, else it is removed.

    Only one process at a time may replace a target; the second gets a UsageFault. Without `flushed` the files are left
    to the system to write to disk.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target):
        recover(target)
        staging = staging_of(target)
        staging.mkdir()
        try:
            yield staging
            if flushed:
                flush(staging)
            commit(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Be the only process that writes `target`, until the block or this process ends; else a UsageFault."""
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageFault(target, "another process writes here now", "one at a time", "wait for it") from error
        yield


def staging_of(target: Path) -> Path:
    """Where a target is made."""
    return target.parent / f".{target.name}.staging"


def sweep(folder: Path) -> None:
    """Clear what dead processes left of the targets in a folder; what is being made now stays."""
    for staging in folder.glob(".*.staging"):
        target = folder / staging.name.removeprefix(".").removesuffix(".staging")
        with suppress(UsageFault), locked(target):
            recover(target)


def recover(target: Path) -> None:
    """Clear what a dead process left: put a renamed-away target back, remove an unfinished staging folder."""
    old = target.parent / f".{target.name}.old"
    if old.exists():
        if not target.exists():
            old.rename(target)
        else:
            shutil.rmtree(old)
    shutil.rmtree(staging_of(target), ignore_errors=True)


def commit(staging: Path, target: Path) -> None:
    """Make the staging folder the target; afterwards `staging` is the old content or is gone."""
    if not target.exists():
        staging.rename(target)
    elif not exchange(staging, target):
        old = target.parent / f".{target.name}.old"
        target.rename(old)
        staging.rename(target)
        shutil.rmtree(old)
    flush_folder(target.parent)


def exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False where the system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def flush(folder: Path) -> None:
    """Write every file and folder below to disk."""
    for root, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(Path(root) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        flush_folder(Path(root))


def flush_folder(folder: Path) -> None:
    """Write a folder's entries to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def carry_over(source: Path, destination: Path, leave: frozenset[Path]) -> None:
    """Take along what the new content lacks and `leave` does not name: by hard link, or by copy where none can be."""
    for item in sorted(source.iterdir()):
        copy = destination / item.name
        if item in leave:
            continue
        if item.is_dir() and not item.is_symlink():
            copy.mkdir(exist_ok=True)
            carry_over(item, copy, leave)
            if not any(copy.iterdir()) and any(item.iterdir()):
                copy.rmdir()  # all of it was to be left
        elif not os.path.lexists(copy):
            try:
                os.link(item, copy, follow_symlinks=False)
            except OSError:
                shutil.copy2(item, copy, follow_symlinks=False)


def write_whole(path: Path, text: str) -> None:
    """Write a text file under another name, flush it, and rename it; UsageFault where that cannot be done.

    A link's target is replaced, not the link; what is no file (/dev/stdout, a pipe) is written to as it is.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        path = Path(os.path.realpath(path))
        beside = path.with_name(f".{path.name}.part")
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise UsageFault(path, f"cannot be written: {error.strerror}", "a file name in an existing folder") from error
