"""An environment that a trainer runs in: a Python, and the versions of the two packages that decide what it does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution
from pathlib import Path

from curate.doctor.environment import ask
from train.environments.packages import own_packages
from validators.errors import UsageFault
from validators.llamafactory.environment.locked import LOCKED, LockedEnvironment
from validators.llamafactory.environment.store import MARK, lock_of, path_of, python_of
from validators.llamafactory.trainer import Trainer

PROBE = """
import importlib.util, sys
missing = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
print("\\n".join(missing))
"""
CORE = ("polars", "pyarrow", "yaml", "av", "PIL", "numpy", "tokenizers", "packaging", "soundfile", "pandera", "ftfy")
"""Modules that mmcurate needs beside itself to judge a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerEnvironment:
    """Where a trainer runs. `name` and `lock` are "" for an environment that the user manages."""

    python: Path
    prefix: Path
    """The environment's folder."""
    trainer: Trainer
    name: str = ""
    lock: str = ""
    """The lock's sha256 in hexadecimal."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What the trainer needs set in it."""

    @property
    def managed(self) -> bool:
        """Whether the user manages it, not `curate env`."""
        return not self.name

    @property
    def is_this(self) -> bool:
        """Whether it is the one that this process runs in."""
        return self.prefix.resolve() == Path(sys.prefix).resolve()

    def words(self) -> str:
        """As a summary names it."""
        return f"{self.trainer.words()} in {f'the environment {self.name}, ' if self.name else ''}{self.prefix}"

    def environment(self) -> dict[str, str]:
        """This process's environment variables as a process of that Python needs them: its commands first on PATH,
        and, for another Python than this, this mmcurate's own packages importable."""
        values = dict(os.environ) | dict(self.variables)
        values["PATH"] = os.pathsep.join([str(self.python.parent), values.get("PATH", "")])
        if not self.is_this:
            values.pop("PYTHONHOME", None)  # the library of another Python
            paths = (str(own_packages()), values.get("PYTHONPATH", ""))
            values["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        return values

    def as_json(self) -> dict[str, object]:
        """For run.json and for programs."""
        return {
            "name": self.name or None,
            "lock": self.lock or None,
            "folder": str(self.prefix),
            "llamafactory": self.trainer.llamafactory,
            "transformers": self.trainer.transformers,
        }


def this_environment() -> TrainerEnvironment | None:
    """The environment of this process; None where it holds no trainer."""
    trainer = trainer_on(sys.path)
    if trainer is None:
        return None
    return read_environment(Path(sys.executable), Path(sys.prefix), trainer)


def running() -> TrainerEnvironment:
    """The environment of this process; UsageFault where it holds no trainer."""
    found = this_environment()
    if found is None:
        raise UsageFault(
            "llamafactory", "not installed here", "LLaMA-Factory and transformers", "`curate env` makes an environment"
        )
    return found


def environment_on_path() -> TrainerEnvironment | None:
    """The environment of the llamafactory-cli on PATH, such as an activated conda environment; None where there is
    none, or this process runs in it."""
    found = shutil.which("llamafactory-cli")
    python = None if found is None else shutil.which("python", path=str(Path(found).parent))
    if python is None:
        return None
    try:
        path, _, prefix, _, executable = ask(Path(python))
    except UsageFault:
        return None  # a Python that does not start runs no trainer
    trainer = trainer_on(path)
    if trainer is None or Path(prefix).resolve() == Path(sys.prefix).resolve():
        return None
    return read_environment(Path(executable), Path(prefix), trainer)


def locked_environment(locked: LockedEnvironment) -> TrainerEnvironment:
    """The environment that a lock makes, made or not."""
    from validators.replay.adapter_base import sha256

    return TrainerEnvironment(
        python=python_of(locked.name),
        prefix=path_of(locked.name),
        trainer=locked.trainer,
        name=locked.name,
        lock=sha256(lock_of(locked.name)),
        variables=locked.variables,
    )


def read_environment(python: Path, prefix: Path, trainer: Trainer) -> TrainerEnvironment:
    """An environment that is there, with what its mark says of it, if `curate env` made it."""
    name, lock = mark_of(prefix)
    variables = next((each.variables for each in LOCKED if each.name == name), {})
    return TrainerEnvironment(python=python, prefix=prefix, trainer=trainer, name=name, lock=lock, variables=variables)


def lacks(environment: TrainerEnvironment) -> tuple[str, ...]:
    """Modules of mmcurate's core that an environment of the user's has not, and without which none of it runs there."""
    done = subprocess.run(
        [str(environment.python), "-P", "-c", PROBE, *CORE], capture_output=True, text=True, check=False
    )
    return tuple(done.stdout.split()) if done.returncode == 0 else CORE


def trainer_on(path: Iterable[str]) -> Trainer | None:
    """The trainer whose packages lie on a sys.path, by their metadata; None where one of the two is missing."""
    folders = [folder or "." for folder in path]
    found = {}
    for name in ("llamafactory", "transformers"):
        distribution = next(iter(Distribution.discover(name=name, path=folders)), None)
        version = None if distribution is None else distribution.metadata["Version"]
        if not version:
            return None
        found[name] = str(version)
    return Trainer(**found)


def mark_of(prefix: Path) -> tuple[str, str]:
    """The name and lock of an environment that `curate env` made; "" twice for any other."""
    try:
        mark = json.loads((prefix / MARK).read_text(encoding="utf-8"))
        return str(mark["name"]), str(mark["lock"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""
