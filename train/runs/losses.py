"""A run's losses by step, from what the trainer logs.

trainer_log.jsonl grows while a run goes on (llamafactory 0.9.5, train/callbacks.py: LogCallback); trainer_state.json
is written at its end and with each checkpoint (transformers 5.6.0, trainer_callback.py: TrainerState). Steps that a
resumed run did once more are logged twice: the later line counts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from validators.sources.target import mapping

LOG, STATE = "trainer_log.jsonl", "trainer_state.json"
MOST_LINES = 2_000_000
MOST_BYTES = 512 << 20
EVALUATED = "eval_loss"


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses by step, in order: (step, loss); a loss can be NaN or infinite. Evaluation's where it was logged."""

    trained: tuple[tuple[int, float], ...] = ()
    evaluated: tuple[tuple[int, float], ...] = ()
    total: int = 0
    """Steps of the whole run as the trainer planned it; 0 where it does not say."""

    @property
    def last(self) -> float | None:
        """The last loss; None where none was logged."""
        return self.trained[-1][1] if self.trained else None

    @property
    def step(self) -> int:
        """The last step that was logged."""
        return self.trained[-1][0] if self.trained else 0


def read_losses(folder: Path, since: float = 0.0) -> Losses:
    """What is logged in a run's folder, from its log, else from its state; empty where there is neither.

    since: seconds since 1970; a file that was last written before is an earlier run's and is passed over.
    """
    found = Losses()
    if written(folder / LOG) >= since:
        found = gather(log_lines(folder / LOG), "current_steps")
    if not found.trained and not found.evaluated and written(folder / STATE) >= since:
        found = gather(state_entries(folder / STATE), "step")
    return found


def written(path: Path) -> float:
    """When a file was last written, in seconds since 1970; -1 where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return -1.0


def gather(entries: Iterable[dict[str, object]], step_key: str) -> Losses:
    """Losses of log entries by step."""
    trained: dict[int, float] = {}
    evaluated: dict[int, float] = {}
    total = 0
    for entry in entries:
        step = entry.get(step_key)
        if not isinstance(step, int) or isinstance(step, bool) or step < 0:
            continue
        for key, into in (("loss", trained), (EVALUATED, evaluated)):
            loss = number(entry.get(key))
            if loss is not None:
                into[step] = loss
        planned = entry.get("total_steps")
        total = planned if isinstance(planned, int) else total
    return Losses(tuple(sorted(trained.items())), tuple(sorted(evaluated.items())), total)


def number(value: object) -> float | None:
    """A loss as a number; transformers 5 logs some as text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def log_lines(path: Path) -> Iterator[dict[str, object]]:
    """The log's entries; a line that a kill left half written is passed over."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in islice(file, MOST_LINES):
                entry = parsed(line)
                if isinstance(entry, dict):
                    yield entry
    except OSError:
        return


def state_entries(path: Path) -> Iterator[dict[str, object]]:
    """The entries of a trainer_state.json, each with the planned steps."""
    try:
        value = parsed(path.read_text(encoding="utf-8", errors="replace")) if small(path) else None
    except OSError:
        return
    state = mapping(value)
    history = state.get("log_history")
    for entry in history if isinstance(history, list) else ():
        if isinstance(entry, dict):
            yield {"total_steps": state.get("max_steps")} | entry


def small(path: Path) -> bool:
    """Whether a file is one that may be read whole."""
    return path.is_file() and path.stat().st_size <= MOST_BYTES


def parsed(text: str) -> object:
    """JSON, or None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
