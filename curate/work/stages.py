"""Finished parts of a build: what has not changed is not made again, and a build that was killed goes on where it was.

A stage is a folder named by the hash of all that decides its content but files; `stage.json` in it lists those files
as they were, and its own. It gets its name only when it is complete and on disk.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from curate.work.states import State, Watch, files_below, sha256_of, stamp_of
from curate.writers.atomic import flush, flush_folder

FACTS = "stage.json"


@dataclass(frozen=True, slots=True)
class Stage:
    """A finished part: its folder, the sha256 of each file in it, and whether an earlier build made it."""

    folder: Path
    files: Mapping[str, str]
    kept: bool


@dataclass(slots=True)
class Stages:
    """The stages of one target. leave: folders that are no part of a source, wherever they lie."""

    folder: Path
    leave: frozenset[str] = frozenset()
    first: dict[str, State] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def stage(self, key: Mapping[str, object], make: Callable[[Path, Watch], None]) -> Stage:
        """The stage that is there, if its files are as they were; else it is made anew by `make`, which fills an empty
        folder and shows the watch each file that it reads or looks for."""
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        self.used.add(name)
        done = self.folder / name
        if done.is_dir():
            known = self.current(done)
            if known is not None:
                return Stage(done, known, True)
            shutil.rmtree(done)
        part = self.folder / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        watch = Watch(self.leave, self.first)
        make(part, watch)
        names = [entry.path[len(str(part)) + 1 :] for entry in files_below(str(part))]
        hashes = {name: sha256_of(part / name) for name in names}
        facts = {
            "depends": [state.plain() for state in watch.settled()],
            "own": {name: [stamp_of(part / name), hashes[name]] for name in names},
        }
        (part / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        flush(part)
        part.rename(done)
        flush_folder(self.folder)
        return Stage(done, hashes, False)

    def current(self, stage: Path) -> dict[str, str] | None:
        """The hashes of a stage's files; None where they, or those that it was made from, are not as they were."""
        try:
            facts = json.loads((stage / FACTS).read_text(encoding="utf-8"))
            own = {name: (tuple(stamp), str(sha256)) for name, (stamp, sha256) in facts["own"].items()}
            depends = [State.from_plain(plain) for plain in facts["depends"]]
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        if any(stamp_of(stage / name) != stamp for name, (stamp, _) in own.items()):
            return None
        if not all(state.is_current(self.leave) for state in depends):
            return None
        return {name: sha256 for name, (_, sha256) in own.items()}

    def prune(self) -> None:
        """Remove what this build did not use."""
        if self.folder.is_dir():
            for item in self.folder.iterdir():
                if item.name not in self.used:
                    shutil.rmtree(item, ignore_errors=True)
