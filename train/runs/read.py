"""Runs as they are found in folders: by their run.json, or by the trainer's log alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from train.resume import NAME as CHECKPOINT
from train.runs import facts
from train.runs.losses import LOG, STATE, Losses, read_losses, written
from train.runs.record import NAME, moment, read_record
from validators.sources.target import mapping

PASSED_OVER = frozenset({"node_modules", "__pycache__", "site-packages"})
UNKNOWN = "no record"


@dataclass(frozen=True, slots=True)
class Run:
    """A run: its folder, its record (empty for one that `curate train` did not start), its losses."""

    folder: Path
    record: Mapping[str, Any]
    losses: Losses
    outcome: str
    """finished, failed, interrupted, running, broken off, or "no record"."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The yaml's keys and values, with what the command line put in place of some."""
        part = mapping(self.record.get("settings"))
        values = dict(mapping(part.get("values")))
        given = part.get("overrides")
        for each in given if isinstance(given, list) else ():
            key, equals, value = str(each).partition("=")
            if equals:
                values[key] = yaml.safe_load(value)
        return values

    @property
    def result(self) -> Mapping[str, Any]:
        """What came of it."""
        return mapping(self.record.get("result"))

    @property
    def data(self) -> Mapping[str, Any]:
        """Its datasets by name."""
        return mapping(self.record.get("data"))

    @property
    def attempts(self) -> list[Mapping[str, Any]]:
        """Its attempts, the first one first."""
        found = self.record.get("attempts")
        return [mapping(each) for each in found] if isinstance(found, list) else []

    @property
    def seconds(self) -> float:
        """How long its attempts took together, as far as they say when they ended."""
        spans = ((moment(each.get("started")), moment(each.get("ended"))) for each in self.attempts)
        return sum(max(0.0, end - start) for start, end in spans if start and end)

    @property
    def started(self) -> float:
        """When it was started last, in seconds since 1970; for a run without record, when its log was last written."""
        said = moment(self.attempts[-1].get("started")) if self.attempts else 0.0
        return said or max(0.0, *(written(self.folder / name) for name in (LOG, STATE)))


def find_runs(folder: Path) -> Iterator[Run]:
    """Each run in a folder and below it. Links are not followed; checkpoints, hidden folders and installed packages
    are passed over."""
    for root, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith(".") and name not in PASSED_OVER)
        if NAME in files or LOG in files or STATE in files:
            names[:] = [name for name in names if not CHECKPOINT.fullmatch(name)]
            run = read_run(Path(root))
            if run is not None:
                yield run


def read_run(folder: Path) -> Run | None:
    """The run whose output folder this is; None where it is none's."""
    record = read_record(folder / NAME)
    if record is None and not holds(folder, LOG) and not holds(folder, STATE):
        return None
    losses = read_losses(folder, moment((record or {}).get("started")))
    return Run(folder, record or {}, losses, UNKNOWN if record is None else outcome_of(record))


def holds(folder: Path, name: str) -> bool:
    """Whether a folder has a file of this name."""
    return (folder / name).is_file()


def outcome_of(record: Mapping[str, Any]) -> str:
    """A record's outcome; "broken off" where it says that it runs and its process is gone.

    On another machine a process cannot be seen: there the record is believed.
    """
    said = str(record.get("outcome"))
    attempts = record.get("attempts")
    last = mapping(attempts[-1]) if isinstance(attempts, list) and attempts else {}
    if said != "running" or mapping(last.get("host")).get("name") != socket.gethostname():
        return said
    process = mapping(last.get("process"))
    pid = process.get("pid")
    alive = (
        isinstance(pid, int)
        and process.get("boot") == facts.boot()
        and bool(process.get("started"))
        and process.get("started") == facts.started(pid)
    )
    return "running" if alive else "broken off"
