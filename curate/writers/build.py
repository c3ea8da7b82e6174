"""A whole build: datasets, dataset_info.json, ledger, manifest, lock, put in place in one step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from curate.build import mode_of
from curate.media.fetcher import fetching
from curate.media.keeper import Keeper, Mode, linked
from curate.recipe import DatasetRecipe, Recipe
from curate.steps.run import StepCount, passes
from curate.work.work import folder_of, working
from curate.writers import lock, manifest
from curate.writers.atomic import carry_over, replacing
from curate.writers.dataset_info import entry, write_info
from curate.writers.layout import ARROW
from curate.writers.losses import Loss, RowsLost, losses_of_dataset, losses_of_source
from curate.writers.making import LEDGER, Progress
from curate.writers.outputs import no_strangers
from curate.writers.parts import REJECTS, Mixed, Output, Parts, Read, Stream
from validators.sources.dataset_info import FILE_NAME, read_info
from validators.sources.target import manifest_of, mapping

REFUSED = "refused"
"""The folder, in a target's work, of the ledger of a build that lost too much."""


@dataclass(frozen=True, slots=True)
class Built:
    """What became of one dataset's raw rows. kept: rows read and used, before any step. left: by source, what its rows
    say and the build does not. steps: what each step did. outputs: rows of what was written, by dataset name."""

    name: str
    kept: int
    changed: int
    dropped: Mapping[str, int]
    left: Mapping[str, str]
    steps: tuple[StepCount, ...]
    outputs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Inherited:
    """What stands in the target before a build: all entries, and the names and files of this recipe's own."""

    entries: Mapping[str, object]
    own_datasets: frozenset[str]
    own_files: frozenset[str]


@dataclass(frozen=True, slots=True)
class Build:
    """A build that is done. made: its parts that were made anew, in words; kept: how many were there already."""

    datasets: tuple[Built, ...]
    mixes: tuple[Mixed, ...]
    media: Mode
    made: tuple[str, ...]
    kept: int


def write_build(recipe: Recipe, progress: Progress, fresh: bool = False, locked: Path | None = None) -> Build:
    """Build all datasets of a recipe; the target changes only when everything is on disk.

    fresh: nothing of earlier builds is used. locked: a lock that the build must agree with; UsageFault names what does
    not, and the target stays as it is. RowsLost where a source or a dataset has no row left, or has lost more than
    the recipe's max_lost; the target stays as it is, and ledger and rejects lie in the work folder.
    """
    with (
        fetching(recipe.fetch) as fetcher,
        replacing(recipe.target) as staging,
        working(recipe.target, fresh) as work,
    ):
        before = inherited(recipe)
        no_strangers(recipe.target, recipe.outputs, recipe.layout, before.own_files)
        keeper = Keeper(
            mode_of(recipe), recipe.media_root, recipe.target, work.files, fetcher, recipe.uniform, work.memory
        )
        parts = Parts(recipe, keeper, work.stages, progress)
        made = [make_dataset(parts, dataset) for dataset in recipe.datasets]
        streams = {name: stream for one in made for name, stream in one.streams.items()}
        mixed = []
        for blend in recipe.mixes:
            streams[blend.name], drawn = parts.blend(blend, streams)
            mixed.append(drawn)
        outputs = {name: parts.write(name, stream) for name, stream in streams.items()}
        refuse_losses(recipe, made, mixed, outputs, folder_of(recipe.target) / REFUSED)
        join(staging / LEDGER, [file for one in made for file in one.ledgers])
        join(staging / REJECTS, [file for one in made for file in one.rejects])
        steps = {one.recipe.name: one.steps for one in made}
        described = {name: describe(name, output, keeper, steps.get(name, ())) for name, output in outputs.items()}
        digests = assemble(outputs, keeper, staging)
        kept = {name: value for name, value in before.entries.items() if name not in before.own_datasets}
        entries = {name: entry(recipe.layout.file_name(name), output.form) for name, output in outputs.items()}
        write_info(staging / FILE_NAME, kept, entries)
        lock.write_lock(staging, lock.lock_of(recipe, work.memory, outputs, described))
        if locked is not None:
            lock.refuse_other(locked, staging / lock.NAME)
        files = {path.relative_to(staging).as_posix(): path for path in staging.rglob("*") if path.is_file()}
        if recipe.target.is_dir():
            carry_over(recipe.target, staging, frozenset(recipe.target / name for name in before.own_files))
        media_root = Path(os.path.relpath(keeper.root, recipe.target)).as_posix()
        manifest.write_manifest(staging, recipe_name(recipe), media_root, described, files, digests)
        work.stages.prune()
    built = tuple(
        Built(
            one.recipe.name,
            one.read.kept,
            one.read.changed,
            one.read.dropped,
            one.read.left,
            one.steps,
            {name: outputs[name].rows for name in one.streams},
        )
        for one in made
    )
    return Build(built, tuple(mixed), keeper.mode, tuple(parts.made), parts.kept)


@dataclass(frozen=True, slots=True)
class Made:
    """A dataset's rows after its steps: a stream for each dataset that comes of it; the ledgers in their order."""

    recipe: DatasetRecipe
    read: Read
    steps: tuple[StepCount, ...]
    streams: Mapping[str, Stream]
    ledgers: tuple[Path, ...]
    rejects: tuple[Path, ...]


def make_dataset(parts: Parts, dataset: DatasetRecipe) -> Made:
    """One dataset's rows, read and taken through its steps. A step after a split goes on with the dataset itself."""
    read = parts.read(dataset)
    streams = {"": read.rows}
    ledgers, rejects = list(read.ledgers), []
    counts: list[StepCount] = []
    for steps in passes(dataset.steps):
        passed = parts.take(dataset, steps, streams[""])
        streams |= passed.outputs
        ledgers.append(passed.ledger)
        rejects.append(passed.rejects)
        counts += passed.counts
    named = {f"{dataset.name}_{part}" if part else dataset.name: stream for part, stream in streams.items()}
    return Made(dataset, read, tuple(counts), named, tuple(ledgers), tuple(rejects))


def refuse_losses(
    recipe: Recipe, made: Sequence[Made], mixed: Sequence[Mixed], outputs: Mapping[str, Output], folder: Path
) -> None:
    """RowsLost where too much is lost, with ledger and rejects in this folder. A part of a split may be empty."""
    shutil.rmtree(folder, ignore_errors=True)
    limit = recipe.max_lost
    losses: list[Loss] = []
    for one in made:
        name, read = one.recipe.name, one.read
        if len(read.sources) > 1:
            losses += [loss for each in read.sources for loss in losses_of_source(name, each, limit)]
        losses += losses_of_dataset(name, read.kept, read.dropped, one.steps, outputs[name].rows, limit)
    losses += [Loss(blend.name, 0, 0, {"its datasets have no rows to mix": 0}) for blend in mixed if not blend.rows]
    if losses:
        folder.mkdir()
        join(folder / LEDGER, [file for one in made for file in one.ledgers])
        join(folder / REJECTS, [file for one in made for file in one.rejects])
        raise RowsLost(losses, folder / LEDGER)


def join(target: Path, files: Sequence[Path]) -> None:
    """Files one after another."""
    with target.open("wb") as out:
        for file in files:
            with file.open("rb") as lines:
                shutil.copyfileobj(lines, out)


def describe(name: str, output: Output, keeper: Keeper, steps: Sequence[StepCount]) -> dict[str, object]:
    """A dataset for the manifest."""
    description: dict[str, object] = {
        "rows": output.rows,
        "data": [asdict(each) | {"sha256": output.files[each.file]} for each in output.data],
        "arrow": f"{ARROW}/{name}",
        "media": {path: keeper.digest(path) for path in output.paths},
    }
    if steps:
        description["steps"] = [
            {"step": each.step, "before": each.before, "after": each.after, "changed": each.changed} for each in steps
        ]
    return description


def assemble(outputs: Mapping[str, Output], keeper: Keeper, staging: Path) -> dict[str, Mapping[str, object]]:
    """Put the outputs and their media into the staging folder, by hard link where the disk has them; their hashes."""
    digests: dict[str, Mapping[str, object]] = {}
    for output in outputs.values():
        for name, sha256 in output.files.items():
            place = staging / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if not linked(output.folder / name, place):
                shutil.copyfile(output.folder / name, place)
            digests[name] = {"sha256": sha256, "bytes": place.stat().st_size}
    used = {path for output in outputs.values() for path in output.paths}
    keeper.deliver(used, staging)
    for path in used:
        lying = keeper.lying[path]
        if lying.file.is_relative_to(keeper.staging):
            digests[lying.file.relative_to(keeper.staging).as_posix()] = keeper.digest(path)
    return digests


def inherited(recipe: Recipe) -> Inherited:
    """The entries of an existing dataset_info.json, and what of the target this recipe's last build wrote."""
    info_file = recipe.target / FILE_NAME
    info = read_info(info_file) if info_file.is_file() else {}
    before = manifest_of(recipe.target) or {}
    if before.get("recipe") != recipe_name(recipe):
        return Inherited(info, frozenset(), frozenset([manifest.NAME]))
    files = frozenset([*mapping(before.get("files")), manifest.NAME])
    return Inherited(info, frozenset(mapping(before.get("datasets"))), files)


def recipe_name(recipe: Recipe) -> str:
    """The recipe's path from the target, by which a build knows its own earlier output."""
    return Path(os.path.relpath(recipe.file, recipe.target)).as_posix()
