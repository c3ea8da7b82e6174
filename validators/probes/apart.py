"""Looking at a file in a process of its own, which may die of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from validators.model import MediaKind
from validators.probes.facts import Health, MediaFacts

MOST_SECONDS = 60
SCRIPT = (
    "import json, sys; sys.path[:], kind, path, whole = json.loads(sys.argv[1]); "
    "from validators.probes.apart import answer; answer(kind, path, whole)"
)


def look_apart(kind: MediaKind, path: Path, whole: bool) -> MediaFacts:
    """The facts of a file; where the decoder dies of it, the trainer's does, too."""
    task = json.dumps([sys.path, kind.value, str(path), whole])
    command = [sys.executable, "-I", "-c", SCRIPT, task]
    try:
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=MOST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return MediaFacts(Health.UNREADABLE, f"the decoder does not end within {MOST_SECONDS} seconds")
    if ran.returncode:
        return MediaFacts(Health.UNREADABLE, f"the decoder dies of it ({name_of(-ran.returncode)})")
    fields = json.loads(ran.stdout.splitlines()[-1])
    return MediaFacts(**fields | {"health": Health(fields["health"]), "listed": ()})


def name_of(number: int) -> str:
    """A signal's name, or the status that the process ended with."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"exit status {-number}"


def answer(kind: str, path: str, whole: bool) -> None:
    """In the process of its own: print the facts."""
    from validators.probes.cache import look_here

    sys.stdout.write(json.dumps(asdict(look_here(MediaKind(kind), Path(path), whole))) + "\n")
