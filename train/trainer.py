"""The one way to LLaMA-Factory: its own command line, as a subprocess. Nothing of it is imported here."""

from __future__ import annotations

import ast
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from train.watch import QUIET, Watcher
from validators.errors import UsageFault
from validators.settings import FORK, FORK_KEYS, PLUGIN, trainer_version

KEPT_LINES = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended, with its last lines."""

    code: int
    tail: tuple[str, ...]

    def last_error(self) -> str:
        """The last line that names an exception, else the last line at all."""
        named = [line for line in self.tail if "Error" in line.split(":")[0] or "Exception" in line.split(":")[0]]
        return (named or list(self.tail) or ["no output"])[-1].strip()


def installed_version() -> str:
    """The installed llamafactory's version; UsageFault when there is none."""
    try:
        return distribution("llamafactory").version
    except PackageNotFoundError as error:
        raise UsageFault(
            "llamafactory", "not installed here", "LLaMA-Factory", 'pip install "mmcurate[train]", or `make setup`'
        ) from error


def executable() -> Path:
    """llamafactory-cli: beside this Python, else on PATH."""
    beside = Path(sys.executable).with_name("llamafactory-cli")
    if beside.exists():
        return beside
    found = shutil.which("llamafactory-cli")
    if found is None:
        installed_version()
        raise UsageFault("llamafactory-cli", "not found", "the command on PATH", "activate the trainer's environment")
    return Path(found)


def accepted_keys() -> frozenset[str]:
    """Field names of every argument class in the installed llamafactory's hparams, read as text, not imported."""
    installed_version()
    names: set[str] = set()
    for file in distribution("llamafactory").files or ():
        if file.parent.name == "hparams" and file.suffix == ".py":
            tree = ast.parse(Path(str(file.locate())).read_text(encoding="utf-8"))
            names.update(
                node.target.id
                for cls in ast.walk(tree)
                if isinstance(cls, ast.ClassDef)
                for node in cls.body
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
            )
    return frozenset(names)


def unknown_fork_keys(keys: Mapping[str, object]) -> list[str]:
    """Those of the keys that only the branch dev-nhb has and the installed trainer has not."""
    asked = [key for key in FORK_KEYS if key in keys]
    accepted = accepted_keys() if asked else frozenset()
    return [key for key in asked if key not in accepted]


def refuse_fork_keys(file: str, keys: Mapping[str, object]) -> None:
    """UsageFault for keys of the branch dev-nhb where neither the installed trainer nor the plugin takes them."""
    refused = unknown_fork_keys(keys)
    if refused and installed_version() != trainer_version():
        raise UsageFault(
            file,
            f"{', '.join(refused)}: known to {FORK} only; llamafactory {installed_version()} is installed",
            f"llamafactory {trainer_version()}, to which {PLUGIN} adds them",
            "remove them, or install that version or that branch",
        )


def command_of(settings: Mapping[str, object]) -> list[str]:
    """llamafactory-cli, or the plugin's launcher where the yaml has keys that only that takes."""
    if unknown_fork_keys(settings):
        return [sys.executable, "-P", "-m", PLUGIN]
    return [str(executable())]


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """The user's environment, with this Python's commands first on PATH and torchrun asked for where DeepSpeed is."""
    values = dict(os.environ)
    values["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), values.get("PATH", "")])
    if settings.get("deepspeed"):
        # llamafactory refuses DeepSpeed without torchrun (hparams/parser.py), and counts no processes without a GPU
        values.setdefault("FORCE_TORCHRUN", "1")
        if not has_gpu():
            values.setdefault("NPROC_PER_NODE", "1")
    return values


def has_gpu() -> bool:
    """Whether the machine shows an accelerator of NVIDIA, AMD or Ascend."""
    return any(Path(device).exists() for device in ("/dev/nvidia0", "/dev/kfd", "/dev/davinci0"))


def run(arguments: Sequence[str], settings: Mapping[str, object], watcher: Watcher | None = None) -> Outcome:
    """Run llamafactory-cli with its output on our screen as it comes, and what the watcher says to it between; an
    interrupt reaches the trainer first."""
    watcher = watcher or Watcher()
    tail: deque[str] = deque(maxlen=KEPT_LINES)
    with subprocess.Popen(
        [*command_of(settings), *arguments],
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        bufsize=1,
    ) as process:
        assert process.stdout is not None
        try:
            for line in lines_of(process.stdout, QUIET):
                if line is None:
                    sys.stdout.write(watcher.stalled(QUIET) + "\n")
                else:
                    sys.stdout.write(line)
                    tail.append(line.rstrip("\n"))
                    sys.stdout.writelines(f"{words}\n" for words in watcher.see(line))
                sys.stdout.flush()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
    return Outcome(process.returncode, tuple(tail))


def lines_of(stream: Iterable[str], quiet: float) -> Iterator[str | None]:
    """A process's lines as they come; None each time when nothing has come for `quiet` seconds."""
    waiting: queue.Queue[str | None] = queue.Queue(maxsize=1000)

    def pump() -> None:
        for line in stream:
            waiting.put(line)
        waiting.put(None)

    threading.Thread(target=pump, daemon=True).start()
    while True:
        try:
            line = waiting.get(timeout=quiet)
        except queue.Empty:
            yield None
            continue
        if line is None:
            return
        yield line
