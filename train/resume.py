"""Where a run that was cut off can go on: its last checkpoint that is whole.

The trainer takes the folder with the highest number (transformers 5.6.0, trainer_utils.py: get_last_checkpoint), also
one that a kill left half written. trainer_state.json is the last file that a save writes (trainer.py:
_save_checkpoint).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from validators.errors import UsageFault
from validators.probes.safetensors import tensors_of

NAME = re.compile(r"checkpoint-(\d+)")
STATE = "trainer_state.json"


def last_checkpoint(out: Path) -> Path:
    """The newest whole checkpoint of a run; UsageFault where there is none, with what each lacks."""
    faults = []
    for step, folder in sorted(checkpoints(out), reverse=True):
        fault = incomplete(folder, step)
        if not fault:
            return folder
        faults.append(f"{folder.name}: {fault}")
    found = "; ".join(faults) if faults else "no checkpoint"
    raise UsageFault(out, found, "a checkpoint to go on from", "start anew without --resume")


def going_on(settings: Mapping[str, object]) -> Path | None:
    """The checkpoint that the trainer goes on from with this yaml; None where it starts anew.

    Without overwrite_output_dir it takes the last one by itself (llamafactory 0.9.5, hparams/parser.py:
    get_train_args), in stages rm and ppo with lora alone.
    """
    named = settings.get("resume_from_checkpoint")
    if named:
        return Path(str(named))
    lora = settings.get("finetuning_type", "lora") == "lora"
    if settings.get("overwrite_output_dir") or (settings.get("stage") in ("rm", "ppo") and not lora):
        return None
    return max(checkpoints(Path(str(settings["output_dir"]))), default=(0, None))[1]


def checkpoints(out: Path) -> Iterator[tuple[int, Path]]:
    """A run's checkpoints with their steps."""
    for folder in out.iterdir() if out.is_dir() else ():
        match = NAME.fullmatch(folder.name)
        if match is not None and folder.is_dir():
            yield int(match[1]), folder


def incomplete(folder: Path, step: int) -> str:
    """What a checkpoint lacks; "" for a whole one."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"no whole {STATE}: its save was cut off"
    if not isinstance(state, dict) or state.get("global_step") != step:
        return f"{STATE} is of another step"
    try:
        tensors = tensors_of(folder)
    except UsageFault as fault:
        return str(fault)
    sharded = next(folder.glob("global_step*"), None)
    if not tensors and sharded is None:
        return "no weights"
    if sharded is None and not (folder / "optimizer.pt").is_file():
        return "no optimizer state (save_only_model): weights alone cannot go on where they were"
    return ""
