"""What rules of the yaml share: which kind it is, its arguments, and a finding's place in it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from validators.findings import Found, Place
from validators.llamafactory.keys import Kind, trainer_keys, trainer_kinds
from validators.llamafactory.trainer import Trainer
from validators.replay.arguments import Arguments
from validators.replay.refusals import Group, Refusal, refusals
from validators.rules.rule import RunView
from validators.settings import TrainerSettings


def merges(settings: TrainerSettings) -> bool:
    """Whether the yaml is one for llamafactory-cli export: it has a key of that command's own."""
    return any(key.startswith("export_") for key in settings.raw)


def trains(settings: TrainerSettings) -> bool:
    """Whether the yaml is one for llamafactory-cli train; what is neither that nor a merge is for chat or an API."""
    return not merges(settings) and not settings.raw.keys().isdisjoint(train_keys(settings.trainer))


@cache
def train_keys(trainer: Trainer) -> frozenset[str]:
    """Keys that only a training has."""
    both = trainer_keys(trainer, trains=False).keys()
    return frozenset(trainer_keys(trainer).keys() - both | {"dataset", "eval_dataset"})


def is_train(view: RunView) -> bool:
    """Whether the settings come from a train yaml."""
    return view.settings.file is not None and trains(view.settings)


def in_yaml(view: RunView, key: str, found: str, expected: str, cure: str = "") -> Found:
    """A finding placed in the yaml."""
    return Found(Place(None, key), found, expected, cure, file=view.settings.file or "command line")


def arguments_of(view: RunView) -> Arguments:
    """The yaml's arguments."""
    return Arguments(view.settings.raw, trains(view.settings), view.settings.trainer)


def refused(view: RunView, group: Group) -> Iterator[Found]:
    """One finding for each of the trainer's checks of this group that the yaml fails."""
    if view.settings.file is None:
        return
    arguments = arguments_of(view)
    for refusal in refusals(arguments, group):
        yield in_yaml(view, blamed(arguments, refusal), said(arguments, refusal), refusal.expected)


def blamed(arguments: Arguments, refusal: Refusal) -> str:
    """The first of the keys that the yaml has."""
    return next((key for key in refusal.keys if key in arguments.raw), refusal.keys[0])


def said(arguments: Arguments, refusal: Refusal) -> str:
    """The keys as they are set, and the trainer's words."""
    shown = [key for key in refusal.keys if key in arguments.raw] or refusal.keys[:1]
    return f'{arguments.shown(*shown)}: "{refusal.words}"'


def kind_of(view: RunView, key: str) -> Kind | None:
    """A key's types and choices; None for one that this kind of yaml does not have."""
    return trainer_kinds(view.settings.trainer).get(key) if arguments_of(view).takes(key) else None
