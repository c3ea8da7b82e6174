"""Which environment a run needs, and which one it will use: one that the user has, or a locked one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from validators.errors import UsageFault
from validators.llamafactory.environment.families import ModelFamily, families_of, of_name
from validators.llamafactory.environment.locked import LOCKED, LockedEnvironment
from validators.llamafactory.environment.store import environment_named, is_made, python_of
from validators.llamafactory.environment.support import Support, Verdict, verdict
from validators.llamafactory.trainer import Trainer

INSTALLED = "installed"
"""The name of what is installed beside this Python, however it came there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """What decides where a run's model trains: its families, its config.json, and the media of its data."""

    families: tuple[ModelFamily, ...] = ()
    config: Mapping[str, object]
    media: frozenset[str] = frozenset()
    """image, video, audio."""
    told: bool = False
    """Whether the model itself tells its family, by name or config.json; else the yaml's template does."""

    def under(self, trainer: Trainer) -> Verdict:
        """What the support table says of it under a trainer."""
        return verdict(self.families, self.config, trainer, self.media)

    @property
    def words(self) -> str:
        """The families' names."""
        return " or ".join(family.name for family in self.families) or str(self.config.get("model_type", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnvironment:
    """The environment that a run will use."""

    name: str
    """INSTALLED, or a locked environment's."""
    trainer: Trainer
    made: bool = True
    """Whether it is there; a locked one can be made in one command."""

    @property
    def python(self) -> Path | None:
        """The Python of a locked one, made or not; None for the one that runs this."""
        return None if self.name == INSTALLED else python_of(self.name)

    def sentence(self) -> str:
        """As a summary names it."""
        return environment_words(self.name, self.trainer)


def environment_words(name: str, trainer: Trainer) -> str:
    """An environment with its versions, as a summary names it; "" for one that was not chosen."""
    if not name:
        return trainer.words()
    return f"{trainer.words()} {'installed here' if name == INSTALLED else f'in the environment {name}'}"


def model_of(
    model: str | None,
    config: Mapping[str, object],
    template: str | None,
    listed: tuple[str, ...] = (),
    media: frozenset[str] = frozenset(),
) -> TrainedModel:
    """A run's model, from its name, its config.json (empty where that is not here), the yaml's template, and the
    templates that llamafactory lists for the name."""
    told = bool(listed or of_name(model)) or isinstance(config.get("model_type"), str)
    return TrainedModel(families=families_of(model, config, template, listed), config=config, media=media, told=told)


def needed_environment(model: TrainedModel) -> LockedEnvironment:
    """The locked environment for a model: the first that it was seen to train in, else the first that nothing speaks
    against, else the default one."""
    wanted = next((family.environment for family in model.families if family.environment), "")
    verdicts = {locked.name: model.under(locked.trainer) for locked in LOCKED}
    seen = [each for each in LOCKED if verdicts[each.name].result is Support.TRAINS and verdicts[each.name].ran is None]
    possible = [each for each in LOCKED if not verdicts[each.name].fails]
    # a doubt last; what is meant for the family goes before what nobody ran
    possible.sort(key=lambda each: (verdicts[each.name].doubtful, each.name != wanted))
    return next(iter([*seen, *possible, *LOCKED]))


def run_environment(model: TrainedModel, installed: Trainer | None, named: str | None = None) -> RunEnvironment:
    """The environment that a run will use.

    The named one; else what is installed here, unless the model is known not to train in it and a locked environment
    that it trains in is made; without anything installed here, the locked one that the model needs. UsageFault for a
    name that there is none of.
    """
    if named is not None:
        return named_environment(named, installed)
    needed = needed_environment(model)
    stands_by = RunEnvironment(name=needed.name, trainer=needed.trainer, made=is_made(needed.name))
    if installed is None:
        return stands_by
    own = RunEnvironment(name=INSTALLED, trainer=installed)
    fails = model.under(installed).result is Support.FAILS
    helps = stands_by.made and model.under(needed.trainer).result is not Support.FAILS
    return stands_by if fails and helps else own


def named_environment(name: str, installed: Trainer | None) -> RunEnvironment:
    """The environment of this name; UsageFault where there is none."""
    if name == INSTALLED:
        if installed is None:
            cure = "install it, or leave the name out"
            raise UsageFault(f"environment {name}", "no llamafactory is installed here", "one beside mmcurate", cure)
        return RunEnvironment(name=name, trainer=installed)
    try:
        locked = environment_named(name)
    except KeyError as error:
        known = ", ".join([INSTALLED, *(each.name for each in LOCKED)])
        raise UsageFault(f"environment {name}", "no such environment", f"one of {known}") from error
    return RunEnvironment(name=name, trainer=locked.trainer, made=is_made(name))
