"""The trainer with a meter: `python drilled.py train YAML`, as llamafactory-cli would run it.

Everything is the installed llamafactory's own; only weights are not saved at the end, and each process writes what it
is doing, and how much memory it took, into the folder that METER_FOLDER names: one JSON line an event, in a file for
each process, so that a crash shows where it happened. Under torchrun this file is run in the place of llamafactory's
launcher.py; it imports nothing of this project but the plugins that the run has.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

METER_FOLDER = "MMCURATE_METER_FOLDER"
PLUGINS = "MMCURATE_TRAINER_PLUGINS"
"""As train/plugins/launcher.py has it."""


class Log:
    """Events of one process."""

    def __init__(self, folder: Path) -> None:
        self.file = (folder / f"events_{os.environ.get('RANK', '0')}.jsonl").open("a", encoding="utf-8")

    def write(self, event: str, **values: object) -> None:
        """One event, on the disk at once: the next thing may be a kill."""
        self.file.write(json.dumps({"event": event, "at": time.monotonic()} | values) + "\n")
        self.file.flush()


def counted(log: Log, name: str, call: Any) -> Any:  # noqa: ANN401 (a method of the trainer's)
    """A method that says when it begins and when it is done."""
    number = 0

    def method(*values: Any, **named: Any) -> Any:  # noqa: ANN401
        nonlocal number
        log.write(f"{name} begins", number=number)
        result = call(*values, **named)
        log.write(f"{name} ends", number=number)
        number += 1
        return result

    return method


def peak() -> dict[str, int]:
    """Bytes: the process's own, and of its GPU what was allocated and what was reserved for that."""
    import torch

    unit = 1 if sys.platform == "darwin" else 1024
    found = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.cuda.is_available():
        found |= {"gpu": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()}
    return found


def install(log: Log) -> None:
    """Put the meter into the trainer."""
    from llamafactory.data.collator import SFTDataCollatorWith4DAttentionMask
    from llamafactory.data.processor.supervised import SupervisedDatasetProcessor
    from llamafactory.train import tuner
    from transformers import Trainer, TrainerCallback

    class Meter(TrainerCallback):  # type: ignore[misc]
        """Steps and their memory."""

        def on_step_begin(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
            """A batch goes to the model."""
            log.write("step begins")

        def on_step_end(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
            """The optimizer is done."""
            log.write("step ends", **peak())

        def on_log(self, *_: Any, logs: dict[str, Any] | None = None, **__: Any) -> None:  # noqa: ANN401
            """A loss."""
            if logs and "loss" in logs:
                log.write("loss", loss=float(logs["loss"]))

    processor, collator = SupervisedDatasetProcessor, SFTDataCollatorWith4DAttentionMask
    processor._encode_data_example = counted(log, "row", processor._encode_data_example)
    collator.__call__ = counted(log, "batch", collator.__call__)
    Trainer.save_model = lambda *_, **__: None
    run_exp = tuner.run_exp
    tuner.run_exp = lambda *values, **named: run_exp(*values, **named, callbacks=[Meter()])


def main() -> None:
    """Start as llamafactory-cli does; as a process of torchrun, train."""
    # torchrun puts this file's folder first, whose modules must not stand in for others
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != Path(__file__).resolve().parent]
    if os.environ.get(PLUGINS):
        importlib.import_module("train.plugins.launcher").register()
    if "LOCAL_RANK" in os.environ:
        install(Log(Path(os.environ[METER_FOLDER])))
        from llamafactory.train import tuner

        tuner.run_exp()
        return
    from llamafactory import launcher

    if os.environ.get("FORCE_TORCHRUN") == "1":
        launcher.__file__ = __file__  # what it gives to torchrun
    else:
        install(Log(Path(os.environ[METER_FOLDER])))
    launcher.launch()


if __name__ == "__main__":
    main()
