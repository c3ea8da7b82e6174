"""Finished parts of a build, kept between builds: what has not changed is not made again, and a build that was killed
goes on where it was.

A stage is a folder named by the hash of all that decides its content but files; `depends.jsonl` in it lists those files
with the size and time that they had. It gets its name only when it is complete and on disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from curate.writers.atomic import flush, flush_folder

DEPENDS = "depends.jsonl"


@dataclass(frozen=True, slots=True)
class State:
    """A file as it was: size in bytes and time of change in nanoseconds; both None where there was none."""

    path: str
    size: int | None
    time: int | None

    @staticmethod
    def of(path: str) -> State:
        """A file as it is now."""
        try:
            status = os.stat(path)  # noqa: PTH116 - once for each medium of a build
        except (OSError, ValueError):
            return State(path, None, None)
        return State(path, status.st_size, status.st_mtime_ns)


@dataclass(slots=True)
class Watch:
    """The files that a stage is made from, each in the state in which it was first seen."""

    states: dict[str, State] = field(default_factory=dict)

    def see(self, path: Path | str) -> None:
        """Note a file before it is read, or looked for."""
        name = os.path.abspath(path)  # noqa: PTH100 - links are not followed: they can be changed too
        if name not in self.states:
            self.states[name] = State.of(name)

    def settled(self) -> list[State]:
        """All states; one that has changed since matches nothing, so that the stage is made again next time."""
        return [state if State.of(state.path) == state else State(state.path, -1, -1) for state in self.states.values()]


@dataclass(slots=True)
class Stages:
    """The stages of one target."""

    folder: Path
    used: set[str] = field(default_factory=set)
    made: int = 0
    """Stages that were not there."""

    def stage(self, key: Mapping[str, object], make: Callable[[Path, Watch], None]) -> Path:
        """The folder of a stage: the one that is there if its files are as they were, else made anew by `make`, which
        fills an empty folder and shows the watch each file that it reads or looks for."""
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        self.used.add(name)
        done = self.folder / name
        if done.is_dir():
            if is_current(done):
                return done
            shutil.rmtree(done)
        self.made += 1
        part = self.folder / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        watch = Watch()
        make(part, watch)
        with (part / DEPENDS).open("w", encoding="utf-8") as file:
            file.writelines(json.dumps([state.path, state.size, state.time]) + "\n" for state in watch.settled())
        flush(part)
        part.rename(done)
        flush_folder(self.folder)
        return done

    def prune(self) -> None:
        """Remove what this build did not use."""
        if self.folder.is_dir():
            for item in self.folder.iterdir():
                if item.name not in self.used:
                    shutil.rmtree(item, ignore_errors=True)


def is_current(stage: Path) -> bool:
    """Whether all files that a stage was made from are as they were."""
    try:
        with (stage / DEPENDS).open(encoding="utf-8") as file:
            return all(State.of(state.path) == state for state in (State(*json.loads(line)) for line in file))
    except (OSError, ValueError, TypeError):
        return False
