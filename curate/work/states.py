"""Files and folders as they were when they were looked at: what tells whether something made of them still holds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Stamp = tuple[int, int, int]
"""Size in bytes, time of change in nanoseconds, inode: another file under a name has another inode, even where a tool
keeps size and time."""


def stamp_of(path: Path | str) -> Stamp | None:
    """A file as it is now; None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - once for each medium of a build
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class State:
    """A file's stamp, or a folder's listing: the hash of the names and stamps of all files below it."""

    path: str
    stamp: Stamp | None = None
    listing: str = ""

    def is_current(self, leave: Collection[str] = ()) -> bool:
        """Whether it is so now. leave: names of folders that a listing passes over."""
        now = state_of_folder(self.path, leave) if self.listing else State(self.path, stamp_of(self.path))
        return now == self

    def plain(self) -> list[object]:
        """As JSON holds it."""
        return [self.path, list(self.stamp) if self.stamp else None, self.listing]

    @staticmethod
    def from_plain(value: object) -> State:
        """Back from JSON; TypeError or ValueError where it is none."""
        if not isinstance(value, list) or len(value) != 3:
            raise ValueError(value)
        size, time, inode = value[1] or (0, 0, 0)
        return State(str(value[0]), (int(size), int(time), int(inode)) if value[1] else None, str(value[2]))


def state_of_folder(folder: str, leave: Collection[str] = ()) -> State:
    """All files below a folder, in the order of their names."""
    seen = hashlib.sha256()
    for entry in files_below(folder, leave):
        status = entry.stat()
        seen.update(
            f"{entry.path}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}\n".encode("utf-8", "replace")
        )
    return State(folder, None, seen.hexdigest())


def files_below(folder: str, leave: Collection[str] = ()) -> Iterator[os.DirEntry[str]]:
    """The files of a tree; folders whose paths are in `leave` are passed over."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.path not in leave:
                yield from files_below(entry.path, leave)
        elif os.path.exists(entry.path):  # noqa: PTH110 - a link may lead nowhere
            yield entry


@dataclass(slots=True)
class Watch:
    """The files that a part is made from, each as it was when the build first saw it.

    first: shared by all parts of a build, so that a file that changes while it is read is no part's current state.
    """

    leave: Collection[str] = ()
    first: dict[str, State] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)

    def see(self, path: Path | str) -> None:
        """Note a file before it is read, or looked for."""
        self.note(path, lambda name: State(name, stamp_of(name)))

    def see_folder(self, path: Path | str) -> None:
        """Note a folder before it is listed."""
        self.note(path, lambda name: state_of_folder(name, self.leave))

    def note(self, path: Path | str, look: Callable[[str], State]) -> None:
        """Note a path, with what is there."""
        name = os.path.abspath(path)  # noqa: PTH100 - links are not followed: they can be changed too
        self.seen.add(name)
        if name not in self.first:
            self.first[name] = look(name)

    def keep(self, path: Path | str) -> None:
        """Note a file that was made, and has to stay as it is once the part is done."""
        self.made.add(os.path.abspath(path))  # noqa: PTH100

    def settled(self) -> list[State]:
        """All states. One that has changed since matches nothing, so that the part is made again next time."""
        states = [self.first[name] for name in sorted(self.seen)]
        past = [state if state.is_current(self.leave) else State(state.path, (-1, -1, -1)) for state in states]
        return past + [State(name, stamp_of(name)) for name in sorted(self.made)]
