"""The environment of one run: from its settings, and what is installed and made on this machine."""

from __future__ import annotations

from dataclasses import replace

from validators.budgets.models import find_model
from validators.budgets.text import model_config
from validators.llamafactory.environment.choose import (
    RunEnvironment,
    TrainedModel,
    model_of,
    needed_environment,
    run_environment,
)
from validators.llamafactory.environment.locked import LockedEnvironment
from validators.probes import installed
from validators.settings import TrainerSettings

NO_MEDIA: frozenset[str] = frozenset()


def trained_model(settings: TrainerSettings, media: frozenset[str] = NO_MEDIA) -> TrainedModel:
    """The model that the settings name; media: the kinds in the run's data (image, video, audio)."""
    known = find_model(settings.model) if settings.model is not None else None
    listed = () if known is None else known.templates
    return model_of(settings.model, model_config(settings.model), settings.template, listed, media)


def needed_by(settings: TrainerSettings, media: frozenset[str] = NO_MEDIA) -> LockedEnvironment:
    """The locked environment that a run needs."""
    return needed_environment(trained_model(settings, media))


def environment_of(settings: TrainerSettings, media: frozenset[str] = NO_MEDIA) -> RunEnvironment:
    """The environment that a run will use: the one that `settings.environment` names, else the one that fits."""
    return run_environment(trained_model(settings, media), installed.trainer(), settings.environment or None)


def in_environment(settings: TrainerSettings, media: frozenset[str] = NO_MEDIA) -> TrainerSettings:
    """The settings with the environment that the run will use, and its trainer."""
    chosen = environment_of(settings, media)
    return replace(settings, environment=chosen.name, trainer=chosen.trainer)
