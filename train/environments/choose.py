"""The environment that a run is started in: the user's own where it fits, else the one that its lock made."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence

from train.environments.environment import (
    TrainerEnvironment,
    environment_on_path,
    lacks,
    locked_environment,
    this_environment,
)
from train.environments.need import environment_for, refusal
from validators.errors import UsageFault
from validators.llamafactory.environment.store import is_made

START = "import sys; from curate.cli import main; sys.argv[0] = 'curate'; raise SystemExit(main())"


def choose_environment(settings: Mapping[str, object], cure: str) -> TrainerEnvironment:
    """The environment for a run; UsageFault, with `cure` as the command that makes one, where there is none.

    In this order: the environment that this process runs in, the one whose llamafactory-cli is on PATH, each where
    nothing is known against it, and the one that `curate env` made.
    """
    found, against = user_environment(settings)
    if found is not None:
        return found
    wanted, why = environment_for(settings)
    if is_made(wanted.name):
        return locked_environment(wanted)
    raise UsageFault(
        str(settings.get("model_name_or_path", "the trainer")),
        "; ".join(against) or "no LLaMA-Factory is installed beside this mmcurate",
        f"the environment {wanted.name} ({why})",
        f"{cure}  makes it",
    )


def user_environment(settings: Mapping[str, object]) -> tuple[TrainerEnvironment | None, tuple[str, ...]]:
    """An environment that is there without `curate env` and fits; and why each one that is there does not."""
    against: list[str] = []
    for environment in (this_environment(), environment_on_path()):
        if environment is None:
            continue
        words = refusal(settings, environment.trainer)
        if not words and not environment.is_this and (missing := lacks(environment)):
            words = f"mmcurate's dependencies are not in it ({', '.join(missing)}): pip install mmcurate there"
        if not words:
            return environment, tuple(against)
        against.append(f"{environment.words()}: {words}")
    return None, tuple(against)


def enter(settings: Mapping[str, object], words: Sequence[str], cure: str) -> None:
    """Go on as `curate WORDS` in the environment that fits, in the place of this process; return where this is it.

    So all of a command, the trainer and what judges its output, has one Python, and a mmcurate without torch can train.
    """
    environment = choose_environment(settings, cure)
    if environment.is_this:
        os.environ.update(environment.variables)
        return
    sys.stderr.write(f"curate: in {environment.words()}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    python = str(environment.python)
    os.execve(python, [python, "-P", "-c", START, *words], environment.environment())


def cure_for(file: object) -> str:
    """The command that makes a yaml's environment."""
    return f"curate env {shlex.quote(str(file))}"
