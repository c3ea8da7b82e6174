"""Which datasets of a build are trained on, which evaluate, and which are left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from validators.budgets.templates import Template
from validators.errors import UsageFault
from validators.model import MediaKind
from validators.settings import TrainerSettings
from validators.sources.dataset_info import FILE_NAME, read_info
from validators.sources.target import CheckPlan, DatasetPlan, gather, manifest_of, mapping, split_name

EVALUATION = ("_eval", "_val", "_valid", "_validation", "_dev")
"""The ends of names of parts to evaluate with: `curate build` names a part of NAME so (its step `split`)."""
TEST = ("_test",)
"""Parts for the very end, which no training looks at."""


@dataclass(frozen=True, slots=True)
class Data:
    """The datasets of a train yaml."""

    folder: Path
    """dataset_dir."""
    media_dir: Path | None
    """None for the folder itself."""
    train: tuple[str, ...]
    evaluation: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    """Name and reason."""
    kinds: frozenset[MediaKind] = frozenset()
    """The modalities that the datasets have columns for."""

    def without(self, name: str, reason: str) -> Data:
        """Leave one more out."""
        return replace(
            self,
            train=tuple(each for each in self.train if each != name),
            evaluation=tuple(each for each in self.evaluation if each != name),
            left_out=(*self.left_out, (name, reason)),
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line names; empty tuples for what is to be inferred."""

    train: tuple[str, ...] = ()
    evaluation: tuple[str, ...] = ()
    media_dir: Path | None = None


def choose_data(target: str, template: Template, asked: Asked) -> Data:
    """The datasets of a build folder, of a folder with dataset_info.json or of the file itself, that fit the template.

    Datasets that are asked for by name are taken as they are. UsageFault where a name is not registered, or nothing
    is left.
    """
    base, only = split_name(target)
    info_file = base / FILE_NAME if base.is_dir() else base
    if info_file.name != FILE_NAME or not info_file.is_file():
        raise UsageFault(target, f"no {FILE_NAME} there", f"a build folder, or a {FILE_NAME}", "run `curate build`")
    info = read_info(info_file)
    built = manifest_of(info_file.parent)
    listed = tuple(name for name in (mapping(built.get("datasets")) if built is not None else info) if name in info)
    media_dir = asked.media_dir
    if media_dir is None and built is not None and str(built.get("media_root", ".")) != ".":
        media_dir = info_file.parent / str(built["media_root"])
    named = ((only,) if only else ()) + asked.train
    for name in (*named, *asked.evaluation):
        if name not in info or not is_writable(name):
            raise UsageFault(info_file, f"no dataset {name!r}", f"one of {', '.join(info)}")
    candidates = named or listed
    parts = tuple(each for each in listed if each not in named and is_part(each, candidates, EVALUATION))
    held_out = asked.evaluation or parts
    trained = tuple(name for name in candidates if name not in held_out and name not in parts)
    data = Data(info_file.parent, media_dir, trained, held_out)
    for name in () if named else trained:
        if is_part(name, candidates, TEST):
            data = data.without(name, "a part held out for a test; --eval evaluates with it")
    return fitting(data, template, info_file, keep=frozenset((*named, *asked.evaluation)))


def is_part(name: str, names: Sequence[str], ends: Sequence[str]) -> bool:
    """Whether it is a part of another dataset, by one of these ends."""
    return any(name.endswith(end) and name.removesuffix(end) in names for end in ends)


def fitting(data: Data, template: Template, info_file: Path, keep: frozenset[str]) -> Data:
    """Leave out what the template does not take and what is not read here."""
    for name in (*data.train, *data.evaluation):
        if not is_writable(name):
            data = data.without(name, "a train yaml cannot hold its name")
    plan = plan_of(data, TrainerSettings())
    for bad in plan.bad_entries:
        data = data if bad.name in keep else data.without(bad.name, f"{bad.found}; expected {bad.expected}")
    for name in plan.passed_over:
        data = data if name in keep else data.without(name, "it lies on a hub, or holds preferences: not read here")
    for dataset in plan.datasets:
        refused = [kind.value for kind in kinds_of(dataset) if not template.accepts(kind)]
        if refused and dataset.entry.name not in keep:
            data = data.without(dataset.entry.name, f"template {template.name} takes no {' and no '.join(refused)}")
    if not data.train:
        raise UsageFault(
            info_file,
            "; ".join(f"{name}: {reason}" for name, reason in data.left_out) or "it registers no dataset",
            f"a dataset that template {template.name} takes",
            "choose another model, or name the datasets with --dataset",
        )
    return with_kinds(data)


def is_writable(name: str) -> bool:
    """Whether a name survives in a list with commas, and OmegaConf finds no ${…} in it."""
    return bool(name) and name == name.strip() and name.isprintable() and "," not in name and "${" not in name


def with_kinds(data: Data) -> Data:
    """The modalities of what is left."""
    plans = plan_of(data, TrainerSettings()).datasets
    return replace(data, kinds=frozenset(kind for plan in plans for kind in kinds_of(plan)))


def kinds_of(dataset: DatasetPlan) -> tuple[MediaKind, ...]:
    """The modalities that an entry registers."""
    return tuple(kind for kind in MediaKind if dataset.entry.media_column(kind))


def plan_of(data: Data, settings: TrainerSettings) -> CheckPlan:
    """What a check of these datasets under these settings reads."""
    info_file = data.folder / FILE_NAME
    settings = replace(settings, dataset_dir=str(data.folder), datasets=data.train)
    media_dir = None if data.media_dir is None else str(data.media_dir)
    plan = gather(str(info_file), info_file, data.train, settings, media_dir, NOTHING)
    more = gather(str(info_file), info_file, data.evaluation, settings, media_dir, NOTHING)
    return replace(
        plan,
        datasets=plan.datasets + tuple(replace(each, evaluates=True) for each in more.datasets),
        bad_entries=plan.bad_entries + more.bad_entries,
        passed_over=plan.passed_over + more.passed_over,
    )


NOTHING: Mapping[Path, Path] = {}
