"""run.json: what trained this. Written when a run starts and when it ends, beside the run's own output.

A run that is resumed keeps its record and gets one more attempt. An attempt whose process died without a word still
says "running"; `outcome` (runs/read.py) tells it from one that does run.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curate.writers.atomic import write_whole
from train.runs import facts
from validators.errors import UsageFault

NAME = "run.json"
FORMAT = 1
MOST_BYTES = 64 << 20
WRITTEN = "%Y-%m-%dT%H:%M:%SZ"


def now() -> str:
    """The time as it is written down: UTC, to the second."""
    return datetime.now(UTC).strftime(WRITTEN)


def moment(text: object) -> float:
    """A time as it is written down, in seconds since 1970; 0 for what is none."""
    try:
        return datetime.strptime(str(text), WRITTEN).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


@dataclass(slots=True)
class RunFile:
    """A run's record while the run goes on."""

    path: Path
    value: dict[str, Any] = field(default_factory=dict)

    def start(self, about: Mapping[str, object], resumed_from: Path | None) -> None:
        """Write down what is about to run, as a new run, or as one more attempt of the one that is resumed."""
        earlier = read_record(self.path) if resumed_from is not None else None
        attempt = {
            "started": now(),
            "outcome": "running",
            "resumed_from": None if resumed_from is None else str(resumed_from),
            "process": facts.process(),
            "host": facts.host(),
            "command": facts.command(),
        }
        kept = {} if earlier is None else earlier
        self.value = {
            "format": FORMAT,
            "id": kept.get("id") or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
            "outcome": "running",
            "started": kept.get("started") or attempt["started"],
            **about,
            "result": {},
            "attempts": [*ended(kept), attempt],
        }
        self.write()

    def end(self, outcome: str, fault: str, result: Mapping[str, object]) -> None:
        """Write down how it ended: finished, failed or interrupted, and by what fault."""
        close = {"outcome": outcome, "fault": fault, "ended": now()}
        self.value |= close | {"result": dict(result)}
        self.value["attempts"][-1] |= close | {"result": dict(result)}
        self.write()

    @property
    def since(self) -> float:
        """When the run was first started, in seconds since 1970."""
        return moment(self.value.get("started"))

    def write(self) -> None:
        """Put the record in place, whole or not at all; UsageFault where that cannot be done."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageFault(
                self.path.parent, f"cannot be made: {error.strerror}", "an output_dir to write to"
            ) from error
        write_whole(self.path, json.dumps(self.value, ensure_ascii=False, indent=2, default=str) + "\n")


def ended(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The attempts of an earlier record; one that still says it runs was broken off, for another is about to start."""
    attempts = value.get("attempts")
    known = [dict(each) for each in attempts if isinstance(each, dict)] if isinstance(attempts, list) else []
    return [each | {"outcome": "broken off"} if each.get("outcome") == "running" else each for each in known]


def read_record(path: Path) -> dict[str, Any] | None:
    """A run's record; None where there is none that can be read: an output folder may hold any run.json."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return None
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value.get("format") == FORMAT else None
