"""The keys of a train yaml, of a merge or chat yaml, by trainer: defaults, types, choices, and who else takes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from validators.llamafactory.generated import keys_table, tabled
from validators.llamafactory.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Kind:
    """What a key's value can be: the names of its Python types, its choices, and whether it may be empty."""

    types: tuple[str, ...]
    choices: tuple[object, ...]
    null: bool


def trainer_keys(trainer: Trainer, trains: bool = True) -> Mapping[str, object]:
    """The keys that a training (or else a merge or a chat) takes, with their defaults; null for one that JSON lacks."""
    return keys_table(trainer)["train" if trains else "export"]


@cache
def trainer_kinds(trainer: Trainer) -> Mapping[str, Kind]:
    """The types that the trainer declares, by key."""
    kinds = cast("Mapping[str, Mapping[str, Sequence[Any]]]", keys_table(trainer)["kinds"])
    return {key: Kind(tuple(kind["types"]), tuple(kind["choices"]), bool(kind["null"])) for key, kind in kinds.items()}


def who_takes(key: str, trains: bool = True) -> tuple[Trainer, ...]:
    """The trainers that take a key, oldest first."""
    return tuple(trainer for trainer in tabled() if key in trainer_keys(trainer, trains))
