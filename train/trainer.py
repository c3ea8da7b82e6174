"""The one way to LLaMA-Factory: its own command line, as a subprocess. Nothing of it is imported here."""

from __future__ import annotations

import ast
import ctypes
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from types import MappingProxyType

from train.cluster import Cluster, cluster_of, launch_environment
from train.environments.environment import running
from train.plugins import launcher
from train.plugins.chosen import plugins_of
from train.watch import QUIET, Watcher
from validators.errors import UsageFault
from validators.probes.accelerators import accelerators
from validators.settings import FORK, FORK_KEYS, PLUGIN, trainer_version

KEPT_LINES = 2000
RANK = re.compile(r"\[rank\d+\]: ")
ERROR = re.compile(r"(\[rank\d+\]: )?[\w.]*(Error|Exception)\w*(:|\s*$)")
"""The last line of a traceback, with the process that it is from, as torch writes it."""
RAISED_OVER = re.compile(r"[\w.]*(ChildFailedError|CalledProcessError)")
PR_SET_CHILD_SUBREAPER = 36
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended, with its last lines."""

    code: int
    tail: tuple[str, ...]

    def last_error(self) -> str:
        """The line that names what went wrong, else the last line at all.

        Of several processes the first one's, for the others then fail for want of it; of one, its last. What torchrun
        and the launcher raise over their children's faults (ChildFailedError, CalledProcessError) comes last.
        """
        named = [line for line in self.tail if ERROR.match(line)]
        ranked = [line for line in named if line.startswith("[rank")]
        causes = ranked[:1] or [line for line in named if not RAISED_OVER.match(line)]
        line = (causes or named or list(self.tail) or ["no output"])[-1]
        return RANK.sub("", line).strip()


def installed_version() -> str:
    """The installed llamafactory's version; UsageFault when there is none."""
    return running().trainer.llamafactory


def cli() -> list[str]:
    """llamafactory-cli of this Python's environment, by its script, or by its module where that was not installed."""
    installed_version()
    beside = Path(sys.executable).with_name("llamafactory-cli")
    return [str(beside)] if beside.exists() else [sys.executable, "-P", "-m", "llamafactory.cli"]


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
    """llamafactory-cli, or the plugins' launcher where the run takes any."""
    if added_to(settings):
        return [sys.executable, "-P", "-m", launcher.__name__]
    return cli()


def added_to(settings: Mapping[str, object]) -> tuple[str, ...]:
    """The plugins of train/plugins that a run takes, by module."""
    return plugins_of(settings, accepted_keys())


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """The user's environment, with this Python's commands first on PATH and torchrun asked for where it is needed."""
    values = dict(os.environ)
    values["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), values.get("PATH", "")])
    return values | launch_environment(os.environ, bool(settings.get("deepspeed")), accelerators())


def find_cluster(settings: Mapping[str, object], arguments: Sequence[str]) -> Cluster:
    """This machine's place in a run; UsageFault where the launcher's environment cannot mean what it says."""
    return cluster_of(os.environ, bool(settings.get("deepspeed")), accelerators(), arguments)


class Terminated(KeyboardInterrupt):
    """A SIGTERM: what a scheduler or a container's end sends to this process alone."""


@contextmanager
def terminable() -> Iterator[None]:
    """Within it, a SIGTERM raises Terminated, where signals can be handled at all, and processes whose parent is gone
    become this one's, so that they can be found."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    adopting(True)

    def stop(*_: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        adopting(False)


def adopting(wanted: bool) -> None:
    """Whether orphaned descendants become this process's own (prctl(2), Linux 3.4); elsewhere nothing happens."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None and sys.platform == "linux":
        prctl(PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)


def descendants(pid: int) -> list[int]:
    """All processes that a process started, and those that they started: torchrun gives its workers sessions of their
    own, so that no group holds them all. Empty where there is no /proc."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            # the name, in parentheses, may hold anything; the parent is the 2nd field behind it (proc(5): stat)
            parent = int(path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = children.get(pid, [])
    for each in found:
        found += children.get(each, [])
    return found


def terminate(process: subprocess.Popen[str]) -> None:
    """End a trainer and all that it started, also where it died first; who still holds its pipe is not waited for."""
    for pid in descendants(os.getpid()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    process.wait()
    process.stdout = None


def run(
    arguments: Sequence[str],
    settings: Mapping[str, object],
    watcher: Watcher | None = None,
    program: Sequence[str] = (),
    variables: Mapping[str, str] = NOTHING,
    echo: bool = True,
) -> Outcome:
    """Run llamafactory-cli, or another program in its environment, with its output on our screen as it comes, and what
    the watcher says to it between; without `echo` only the latter, on stderr. An interrupt reaches the trainer first.
    """
    watcher = watcher or Watcher()
    screen = sys.stdout if echo else sys.stderr
    tail: deque[str] = deque(maxlen=KEPT_LINES)
    with (
        terminable(),
        subprocess.Popen(
            [*(program or command_of(settings)), *arguments],
            env={**environment(settings), launcher.NAMES: ",".join(added_to(settings)), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in lines_of(process.stdout, QUIET):
                if line is None:
                    screen.write(watcher.stalled(QUIET) + "\n")
                else:
                    screen.write(line if echo else "")
                    tail.append(line.rstrip("\n"))
                    screen.writelines(f"{words}\n" for words in watcher.see(line))
                screen.flush()
        except Terminated:
            terminate(process)
            raise
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
