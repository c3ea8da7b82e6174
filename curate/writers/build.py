"""A whole build: datasets, dataset_info.json, ledger, manifest, put in place in one step."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from curate.build import LedgerEntry, build_rows, mode_of
from curate.media.keeper import Keeper, Mode
from curate.recipe import DatasetRecipe, Recipe
from curate.writers import manifest
from curate.writers.arrow import ArrowWriter, read_stream, save_to_disk
from curate.writers.atomic import carry_over, replacing
from curate.writers.dataset_info import entry, write_info
from curate.writers.form import Form
from curate.writers.sharegpt import SharegptWriter
from validators.sources.dataset_info import FILE_NAME, read_info
from validators.sources.target import manifest_of, mapping


@dataclass(frozen=True, slots=True)
class Built:
    """What became of one dataset's raw rows. left: by source, what its rows say and the build does not."""

    name: str
    kept: int
    changed: int
    dropped: Mapping[str, int]
    form: Form
    left: Mapping[str, str]
    media: Mode


@dataclass(frozen=True, slots=True)
class Inherited:
    """What stands in the target before a build: all entries, and the names and files of this recipe's own."""

    entries: Mapping[str, object]
    own_datasets: frozenset[str]
    own_files: frozenset[str]


Progress = Callable[[str, int], None]


def write_build(recipe: Recipe, progress: Progress) -> list[Built]:
    """Build all datasets of a recipe; the target changes only when everything is on disk."""
    with replacing(recipe.target) as staging:
        before = inherited(recipe)
        change = recipe.uniform.change() if recipe.uniform is not None else None
        keeper = Keeper(mode_of(recipe), recipe.media_root, recipe.target, staging, recipe.fetch, change)
        built = []
        described: dict[str, dict[str, object]] = {}
        with (staging / "ledger.jsonl").open("w", encoding="utf-8", errors="backslashreplace") as ledger:
            for dataset in recipe.datasets:
                result, description = write_dataset(recipe, dataset, keeper, ledger.write, progress)
                built.append(result)
                described[dataset.name] = description
        kept = {name: value for name, value in before.entries.items() if name not in before.own_datasets}
        write_info(staging / FILE_NAME, kept, {item.name: entry(item.name, item.form) for item in built})
        keeper.sweep({path for facts in described.values() for path in mapping(facts["media"])})
        files = {path.relative_to(staging).as_posix(): path for path in staging.rglob("*") if path.is_file()}
        if recipe.target.is_dir():
            carry_over(recipe.target, staging, frozenset(recipe.target / name for name in before.own_files))
        media_root = Path(os.path.relpath(keeper.root, recipe.target)).as_posix()
        manifest.write_manifest(staging, recipe_name(recipe), media_root, described, files, own_digests(keeper))
    return built


def own_digests(keeper: Keeper) -> dict[str, Mapping[str, object]]:
    """The known hashes of media in the target, by their path in it."""
    return {
        lying.file.relative_to(keeper.staging).as_posix(): lying.digest
        for lying in keeper.lying.values()
        if lying.digest is not None and lying.file.is_relative_to(keeper.staging)
    }


def write_dataset(
    recipe: Recipe, dataset: DatasetRecipe, keeper: Keeper, note: Callable[[str], object], progress: Progress
) -> tuple[Built, dict[str, object]]:
    """One dataset's Arrow folder and JSON; its ledger entries go to `note`."""
    dropped: Counter[str] = Counter()
    changed = kept = 0
    form = Form()
    left: dict[str, str] = {}
    media: dict[str, Mapping[str, object]] = {}
    staging = keeper.staging
    stream = staging / f"{dataset.name}.stream"
    with ArrowWriter(stream) as arrow:
        for number, item in enumerate(build_rows(recipe, dataset, keeper)):
            progress(dataset.name, number)
            if isinstance(item, LedgerEntry):
                note(json.dumps(asdict(item), ensure_ascii=False) + "\n")
                if item.action == "dropped":
                    dropped[item.reason] += 1
                elif item.row is None:
                    left[item.source] = item.reason
                else:
                    changed += 1
                continue
            kept += 1
            arrow.write(item)
            form = form.including(item)
            media |= {path: keeper.digest(path) for _, path in item.media if path not in media}
    # a second pass over the rows on disk: only now is it known which columns every row must have
    copy_to_json(stream, staging / f"{dataset.name}.json", form)
    folder = staging / "arrow" / dataset.name
    save_to_disk(stream, folder)
    description: dict[str, object] = {
        "rows": kept,
        "json": f"{dataset.name}.json",
        "arrow": f"arrow/{dataset.name}",
        "sha256": manifest.digest(staging / f"{dataset.name}.json")["sha256"],
        "media": dict(sorted(media.items())),
    }
    return Built(dataset.name, kept, changed, dropped, form, left, keeper.mode), description


def copy_to_json(stream: Path, path: Path, form: Form) -> None:
    """Write the stream's rows in sharegpt form."""
    with SharegptWriter(path, form) as out:
        for row in read_stream(stream):
            out.write(row)


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
