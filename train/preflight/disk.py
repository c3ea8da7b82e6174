"""What a run writes, beside the free space: checkpoints, the last model, prepared rows.

Sources: transformers 5.6.0, trainer_callback.py: DefaultFlowCallback (a save at the last step too), trainer.py:
_save_checkpoint (the oldest is removed after the new one is written); datasets 4.0.0, arrow_writer.py:
OptimizedTypedSequence (ids of 4 bytes, masks of 1, labels of 8).
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from train.preflight.figures import Range
from train.preflight.memory import Ways
from train.preflight.parameters import Parameters
from train.preflight.schedule import Schedule
from validators.replay.arguments import Arguments

TOKEN_BYTES = 13


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes: of a checkpoint, of the model at the end, of prepared rows; how many checkpoints lie there at once."""

    folder: str
    free: int
    checkpoint: Range
    checkpoints: int
    model: Range
    rows: float
    merged: float
    """Of the whole model that an adapter can be merged into; not part of this run."""

    @property
    def needed(self) -> Range:
        """In all, at the fullest."""
        return self.checkpoint.times(self.checkpoints) + self.model + Range(self.rows, self.rows)

    @property
    def too_little(self) -> bool:
        """Whether even the least does not fit."""
        return self.needed.low > self.free


def estimate(arguments: Arguments, plan: Schedule | str, parameters: Parameters, ways: Ways) -> Disk | str:
    """What the run writes into its output folder; in words why that is not known."""
    out = Path(str(arguments["output_dir"] or "."))
    there = next((path for path in (out, *out.absolute().parents) if path.exists()), None)
    if there is None:
        return f"{out}: no such disk"
    free = shutil.disk_usage(there).free
    trained = parameters.trainable
    own = 2 if ways.pure or (ways.zero is not None and ways.half) else 4
    if parameters.adapter:
        model = Range(trained * own, trained * 4)
    else:
        # saved in the type that it is trained in, the frozen part in its own
        model = Range(parameters.total * 2 if ways.half else trained * own, parameters.total * 4)
        if not ways.half:
            model = Range(parameters.total * 4, parameters.total * 4)
    state = Range(0, 0)
    if not arguments.on("save_only_model"):
        state = ways.moments.times(trained)
        if ways.zero is not None:
            # deepspeed's own files: the module's weights, and 32-bit weights beside the moments
            module = (parameters.total + (trained if parameters.adapter else 0)) * ways.width
            state += Range(trained * 4, trained * 4 + module)
    count = 0 if isinstance(plan, str) else saves(arguments, plan)
    rows = 0.0 if isinstance(plan, str) else plan.tokens.high * TOKEN_BYTES
    if not arguments.given("tokenized_path"):
        rows = 0.0  # prepared rows then lie in Hugging Face's cache
    return Disk(
        str(out), free, model + state, count, model, rows, parameters.total * 2.0 if parameters.adapter else 0.0
    )


def saves(arguments: Arguments, plan: Schedule) -> int:
    """How many checkpoints lie on the disk at the fullest."""
    steps = int(plan.steps.high)
    strategy = arguments["save_strategy"]
    if strategy == "epoch":
        count = max(math.ceil(plan.epochs.high), 1)
    elif strategy == "steps":
        share = arguments.number("save_steps")
        every = arguments.whole("save_steps", 500)
        if share is not None and 0 < share < 1:
            every = max(math.ceil(steps * share), 1)
        count = -(-steps // every)
    elif strategy == "best":
        count = 1
    else:
        return 0
    return min(count, arguments.whole("save_total_limit", count) + 1)


def as_json(found: Disk | str) -> Mapping[str, object]:
    """For programs, in bytes."""
    return {"unknown": found} if isinstance(found, str) else asdict(found) | {"needed": asdict(found.needed)}
