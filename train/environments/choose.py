"""The environment that a run is started in: the user's own where it fits, else the one that its lock made."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from curate.commands.configured import folder_of
from train.environments.environment import (
    TrainerEnvironment,
    environment_on_path,
    lacks,
    locked_environment,
    running,
    this_environment,
)
from validators.config import find_config
from validators.errors import UsageFault
from validators.llamafactory.environment.choose import INSTALLED, TrainedModel, named_environment, needed_environment
from validators.llamafactory.environment.locked import LOCKED, LockedEnvironment
from validators.llamafactory.environment.run import trained_model
from validators.llamafactory.environment.store import environment_named, is_made
from validators.llamafactory.environment.support import Support
from validators.llamafactory.trainer import Trainer
from validators.settings import TrainerSettings

START = "import sys; from curate.cli import main; sys.argv[0] = 'curate'; raise SystemExit(main())"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an environment is wanted for: a yaml and its settings; the environment's name, where the user gave one."""

    file: str
    settings: Mapping[str, object]
    named: str | None = None

    @property
    def model(self) -> TrainedModel:
        """The run's model, as the support table knows it."""
        model, template = (self.settings.get(key) for key in ("model_name_or_path", "template"))
        return trained_model(
            TrainerSettings(
                model=None if model is None else str(model), template=None if template is None else str(template)
            )
        )

    def against(self, trainer: Trainer) -> str:
        """Why a trainer cannot train the model; "" where nothing is known against it."""
        found = self.model.under(trainer)
        return f"{self.model.words} fails there: {found.words}" if found.result is Support.FAILS else ""

    def needed(self) -> tuple[LockedEnvironment, str]:
        """The locked environment that the model needs, and why; UsageFault where it trains in none of them."""
        model = self.model
        wanted = needed_environment(model)
        found = model.under(wanted.trainer)
        name = model.words or str(self.settings.get("model_name_or_path", "the model"))
        if found.fails:
            known = ", ".join(each.trainer.transformers for each in LOCKED)
            raise UsageFault(
                self.file, f"{name} trains in no environment that is known (transformers {known}): {found.words}",
                "a model that one of them trains",
                "where you have one that trains it, run mmcurate there; --env installed goes on with what is installed",
            )  # fmt: skip
        if found.doubtful:
            return wanted, found.doubt(name, wanted.name)
        if found.result is Support.NOT_RUN:
            return wanted, f"{name}: nobody ran it, and nothing is known against it"
        ran = f", as it did with {found.ran.words()}" if found.ran is not None else ""
        return wanted, f"{name} trains there{ran}"


def wanted_for(file: str, settings: Mapping[str, object], named: str | None) -> Wanted:
    """What a yaml wants: the environment that the command line names, else the one of the configuration file."""
    return Wanted(file, settings, named or find_config(folder_of(file)).environment)


def choose_environment(wanted: Wanted, forced: bool = False) -> TrainerEnvironment:
    """The environment for a run; UsageFault, with the command that makes one, where there is none.

    The named one; else, in this order: the environment that this process runs in, the one whose llamafactory-cli is on
    PATH, each where nothing is known against it (or `forced`), and the one that `curate env` made.
    """
    if wanted.named is not None:
        return choose_named(wanted.named)
    found, against = user_environment(wanted)
    if found is not None:
        return found
    own = this_environment() if forced else None
    locked, why = wanted.needed() if own is None else (needed_environment(wanted.model), "")
    if is_made(locked.name):
        return locked_environment(locked)
    if own is not None:
        return own
    raise UsageFault(
        wanted.file,
        "; ".join(against) or "no LLaMA-Factory is installed beside this mmcurate",
        f"the environment {locked.name}: {locked.trainer.words()} ({why})",
        f"curate env {shlex.quote(wanted.file)}",
    )


def choose_named(name: str) -> TrainerEnvironment:
    """The environment of a name; UsageFault where there is none, or where it is not made."""
    if name == INSTALLED:
        return running()
    if not named_environment(name, None).made:
        raise UsageFault(f"environment {name}", "not made", "a made one", f"curate env --make {name}")
    return locked_environment(environment_named(name))


def user_environment(wanted: Wanted) -> tuple[TrainerEnvironment | None, tuple[str, ...]]:
    """An environment that is there without `curate env` and fits; and why each one that is there does not."""
    against: list[str] = []
    for environment in (this_environment(), environment_on_path()):
        if environment is None:
            continue
        words = wanted.against(environment.trainer)
        if not words and not environment.is_this and (missing := lacks(environment)):
            words = f"mmcurate's dependencies are not in it ({', '.join(missing)}): pip install mmcurate there"
        if not words:
            return environment, tuple(against)
        against.append(f"{environment.words()}: {words}")
    return None, tuple(against)


def enter(wanted: Wanted, words: Sequence[str], forced: bool = False) -> TrainerEnvironment:
    """Go on as `curate WORDS` in the environment that fits, in the place of this process; return it where this is it.

    So all of a command, the trainer and what judges its output, has one Python, and a mmcurate without torch can train.
    """
    environment = choose_environment(wanted, forced)
    if not environment.is_this:
        go_on(environment, words)
    os.environ.update(environment.variables)
    return environment


def go_on(environment: TrainerEnvironment, words: Sequence[str]) -> NoReturn:
    """Become `curate WORDS` in another environment."""
    sys.stderr.write(f"curate: in {environment.words()}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    python = str(environment.python)
    os.execve(python, [python, "-P", "-c", START, *words], environment.environment())
