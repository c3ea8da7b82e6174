"""One run of the real llamafactory in a process of its own, and what came of it."""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LONGEST = 300
PATIENCE = 900  # seconds, for a machine that does other things too
STAGES = (
    ("get_train_args", "arguments"),
    ("load_tokenizer", "tokenizer and processor"),
    ("get_template_and_fix_tokenizer", "template"),
    ("get_dataset", "preprocessing"),
    ("load_config", "config"),
    ("load_model", "model"),
    ("train", "step"),
)
"""Functions of llamafactory's train/sft/workflow.py and what they are called here; the first found decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run's end."""

    trained: bool
    stage: str = ""
    words: str = ""
    source: str = ""


def run(arguments: Mapping[str, Any], out: Path) -> Ran:
    """Run llamafactory's run_exp in a child of this process, which has it imported; a child that dies is a failure."""
    answer = out.with_suffix(".result.json")
    child = multiprocessing.get_context("fork").Process(target=child_main, args=(dict(arguments), out, answer))
    child.start()
    child.join(PATIENCE)
    if child.is_alive():
        child.kill()
        raise TimeoutError(f"{out.name}: no end after {PATIENCE} s")
    if not answer.is_file():
        return Ran(trained=False, stage="step", words=f"the process ended with {child.exitcode}")
    return Ran(**json.loads(answer.read_text()))


def child_main(arguments: dict[str, Any], out: Path, answer: Path) -> None:
    """Run, and leave the result in a file."""
    import os
    import sys

    log = out.with_suffix(".log").open("w")
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    sys.stdout = sys.stderr = log
    kept = Kept()
    logging.getLogger("llamafactory").addHandler(kept)
    try:
        from llamafactory.train.tuner import run_exp

        run_exp({**arguments, "output_dir": str(out)})
        ran = judge(out, arguments["max_steps"])
    except BaseException as error:  # SystemExit and all: whatever ends the trainer is the answer
        traceback.print_exc()
        ran = Ran(trained=False, stage=stage_of(error), words=words_of(error, kept.lines), source=source_of(error))
    answer.write_text(json.dumps(asdict(ran)))
    log.flush()


class Kept(logging.Handler):
    """What llamafactory logs of an error that it swallows (model/loader.py: load_tokenizer)."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line about a failure."""
        if (text := record.getMessage()).startswith("Failed to load"):
            self.lines.append(text)


def judge(out: Path, steps: int) -> Ran:
    """Whether the run made its steps, each with a finite loss."""
    state = json.loads((out / "trainer_state.json").read_text())
    losses = [entry["loss"] for entry in state["log_history"] if "loss" in entry]
    if state["global_step"] == steps == len(losses) and all(math.isfinite(loss) for loss in losses):
        return Ran(trained=True)
    return Ran(trained=False, stage="step", words=f"{state['global_step']} of {steps} steps, losses {losses}")


def causes(error: BaseException) -> list[BaseException]:
    """The error and what it was raised from, without the wrapper that datasets puts around a row's error."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    return [item for item in chain if type(item).__name__ != "DatasetGenerationError"] or chain


def words_of(error: BaseException, logged: Sequence[str]) -> str:
    """The error's line, what it was raised from, and what was logged before it where it only says the outcome."""
    said = [f"{type(item).__name__}: {item}" for item in causes(error)]
    if "Processor was not found" in said[0] or "Failed to load" in said[0]:
        said += logged
    return clean(" ← ".join(dict.fromkeys(said)))


def clean(text: str) -> str:
    """One line without folders and addresses, of the web and of memory."""
    text = re.sub(r"0x[0-9a-f]{6,}", "0x…", text)
    text = re.sub(r"(?:git\+)?https?://[^\s'`]+", "…", text)
    text = re.sub(r"(?<![\w:/<.])/(?:[\w.+-]+/)+([\w.+-]*)", r"\1", text)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Frames of the innermost cause after those of what it led to, outermost first."""
    return [frame for item in causes(error) for frame in traceback.extract_tb(item.__traceback__)]


def stage_of(error: BaseException) -> str:
    """The step of llamafactory's workflow in which the error was raised."""
    names = {frame.name for frame in frames(error) if "/llamafactory/" in frame.filename or frame.name == "train"}
    return next((stage for name, stage in STAGES if name in names), "arguments")


def source_of(error: BaseException) -> str:
    """llamafactory's innermost function, and the one that raised: `package/file.py: function`."""
    places = [(place, frame.name) for frame in frames(error) if (place := within(frame.filename))]
    trainer = [place for place in places if place[0].startswith("llamafactory/")]
    return " → ".join(dict.fromkeys(f"{file}: {name}" for file, name in [*trainer[-1:], *places[-1:]]))


def within(file: str) -> str:
    """A file's place in its package, or under a model's own code."""
    found = re.search(
        r"/((?:llamafactory|transformers|peft|accelerate|datasets|torch)/(?!.*/site-packages/).*\.py)$", file
    )
    if "/transformers_modules/" in file:
        return f"the model's {Path(file).name}"
    return found.group(1) if found else ""
