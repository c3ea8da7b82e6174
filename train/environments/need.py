"""Which locked environment a run's model needs, and whether a trainer can train it."""

from __future__ import annotations

from collections.abc import Mapping

from validators.budgets.text import model_config
from validators.llamafactory.environment.locked import LOCKED, LockedEnvironment
from validators.llamafactory.environment.store import environment_named
from validators.llamafactory.trainer import Trainer

FIRST = {"minicpmv4_6": "minicpm-v-4.6", "qwen3_5": "transformers-5", "gemma4": "transformers-5"}


def environment_for(settings: Mapping[str, object]) -> tuple[LockedEnvironment, str]:
    """The environment that a run needs, and why."""
    kind = type_of(settings)
    found = environment_named(FIRST[kind]) if kind in FIRST else LOCKED[0]
    return found, f"{kind or settings.get('model_name_or_path')}: {found.words}"


def refusal(settings: Mapping[str, object], trainer: Trainer) -> str:
    """Why a trainer cannot train a run's model; "" where nothing is known against it."""
    found, words = environment_for(settings)
    return words if trainer.transformers.split(".")[0] != found.trainer.transformers.split(".")[0] else ""


def type_of(settings: Mapping[str, object]) -> str:
    """The model's type by its config.json; "" where that is not here."""
    name = settings.get("model_name_or_path")
    return str(model_config(str(name) if name else None).get("model_type", ""))
