"""Which plugins a run of the trainer takes: a table, in the order in which they are registered.

A plugin is a module of this folder with `register()`. This one is read by `curate`, and imports nothing of the trainer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from validators.budgets.templates import find_template
from validators.replay.arguments import Arguments
from validators.settings import FORK_KEYS


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin and the runs that take it, by the yaml's keys and the keys that the installed trainer accepts."""

    module: str
    wanted: Callable[[Mapping[str, object], frozenset[str]], bool]


def lacks_keys(settings: Mapping[str, object], accepted: frozenset[str]) -> bool:
    """Whether the yaml has keys of the branch dev-nhb, which this trainer does not take."""
    return any(key in settings and key not in accepted for key in FORK_KEYS)


def mixes_rows(settings: Mapping[str, object], accepted: frozenset[str]) -> bool:
    """Whether MiniCPM's collator is given several rows at a time, which may be of different media."""
    template, arguments = find_template(str(settings.get("template"))), Arguments(settings)
    if template is None or template.plugin != "MiniCPMVPlugin":
        return False
    packs = arguments.on("packing") or arguments.on("neat_packing")
    evaluated = arguments.evaluates and arguments.whole("per_device_eval_batch_size", 8) > 1
    return packs or evaluated or arguments.whole("per_device_train_batch_size", 8) > 1


def trusts_code(settings: Mapping[str, object], accepted: frozenset[str]) -> bool:
    """Whether a model's own code may be trained; a merge saves no buffers."""
    return Arguments(settings).on("trust_remote_code") and "export_dir" not in settings


PLUGINS = (
    Plugin("minicpm_high_fps", lacks_keys),
    Plugin("minicpm_collation", mixes_rows),
    Plugin("buffers", trusts_code),
)


def plugins_of(settings: Mapping[str, object], accepted: frozenset[str]) -> tuple[str, ...]:
    """The plugins of a run, by module; accepted: field names of the trainer's argument classes."""
    return tuple(plugin.module for plugin in PLUGINS if plugin.wanted(settings, accepted))
