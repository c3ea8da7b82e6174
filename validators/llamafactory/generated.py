"""The tables that scripts/make_tables.py writes of the real packages: which there are, and their contents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from validators.llamafactory.trainer import REFERENCE, Trainer

TABLES = Path(__file__).parent / "tables"


@cache
def tabled() -> tuple[Trainer, ...]:
    """The trainers whose keys were read from the packages themselves, oldest first."""
    pairs = (folder.name.split("+", 1) for folder in TABLES.glob("*+*"))
    found = (Trainer(llamafactory=llamafactory, transformers=transformers) for llamafactory, transformers in pairs)
    return tuple(sorted(found, key=order))


def order(trainer: Trainer) -> tuple[Any, Any]:
    """What trainers are sorted by: their versions as numbers."""
    from packaging.version import Version

    return Version(trainer.llamafactory), Version(trainer.transformers)


@cache
def nearest(trainer: Trainer) -> Trainer:
    """The trainer whose tables stand for this one: itself where it has some, else the nearest of the same llamafactory
    and the same major release of transformers, an older one before a newer one."""
    same = [known for known in tabled() if known.llamafactory == trainer.llamafactory] or [*tabled()]
    wanted = order(trainer)[1]
    major = [known for known in same if order(known)[1].major == wanted.major] or same
    older = [known for known in major if order(known)[1] <= wanted]
    return older[-1] if older else major[0]


@cache
def keys_table(trainer: Trainer) -> Mapping[str, Mapping[str, object]]:
    """The table of keys that stands for this trainer: `train` and `export` (key → default), `kinds`."""
    stands = nearest(trainer)
    return cast("Mapping[str, Mapping[str, object]]", read(f"{stands.llamafactory}+{stands.transformers}/keys.json"))


@cache
def has_class(model_type: str, trainer: Trainer) -> bool | None:
    """Whether its transformers has a class for a config.json's model_type; None where that is not known: a release of
    which there is no table, and whose nearest one has none."""
    known = [table for table in tabled() if table.transformers == trainer.transformers]
    stands = known[0] if known else nearest(trainer)
    there = model_type in read(f"{stands.llamafactory}+{stands.transformers}/types.json")["model_types"]
    return there if known or there else None


@cache
def table_of(name: str, llamafactory: str = REFERENCE.llamafactory) -> Mapping[str, Any]:
    """A table of llamafactory's alone: models, templates or prompts."""
    return read(f"{llamafactory}/{name}.json")


def read(name: str) -> Mapping[str, Any]:
    """A table's contents."""
    return cast("Mapping[str, Any]", json.loads((TABLES / name).read_text(encoding="utf-8")))
