"""A whole build: datasets, dataset_info.json, ledger, manifest, put in place in one step."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from curate.build import LedgerEntry, build_rows, mode_of
from curate.media.keeper import Keeper, Mode
from curate.recipe import DatasetRecipe, MixRecipe, Recipe
from curate.steps.columns import with_columns
from curate.steps.mix import mix
from curate.steps.run import Sink, StepCount, Table, run_steps
from curate.steps.step import Note, Surroundings
from curate.steps.tokens import counting
from curate.writers import manifest
from curate.writers.arrow import ArrowWriter, read_stream, save_to_disk
from curate.writers.atomic import carry_over, replacing
from curate.writers.dataset_info import entry, write_info
from curate.writers.form import Form
from curate.writers.sharegpt import SharegptWriter
from validators.errors import UsageFault
from validators.model import MediaKind
from validators.sources.dataset_info import FILE_NAME, read_info
from validators.sources.target import manifest_of, mapping


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
    media: Mode


@dataclass(frozen=True, slots=True)
class Inherited:
    """What stands in the target before a build: all entries, and the names and files of this recipe's own."""

    entries: Mapping[str, object]
    own_datasets: frozenset[str]
    own_files: frozenset[str]


@dataclass(frozen=True, slots=True)
class Mixed:
    """A mixture: its rows, those of each dataset, and the units that a dataset lacked for its share."""

    name: str
    rows: int
    parts: Mapping[str, int]
    missing: Mapping[str, int]


Progress = Callable[[str, int], None]
WORK = ".work"
"""The folder of streams in the staging folder."""


def write_build(recipe: Recipe, progress: Progress) -> tuple[list[Built], list[Mixed]]:
    """Build all datasets of a recipe; the target changes only when everything is on disk."""
    with replacing(recipe.target) as staging:
        before = inherited(recipe)
        change = recipe.uniform.change() if recipe.uniform is not None else None
        keeper = Keeper(mode_of(recipe), recipe.media_root, recipe.target, staging, recipe.fetch, change)
        around = surroundings(recipe, keeper)
        built, mixed = [], []
        streams: dict[str, Path] = {}
        with (staging / "ledger.jsonl").open("w", encoding="utf-8", errors="backslashreplace") as ledger:
            for dataset in recipe.datasets:
                result, made = make_dataset(recipe, dataset, keeper, around, ledger.write, progress)
                built.append(result)
                streams |= made
        for blend in recipe.mixes:
            result_of, stream = make_mix(recipe, blend, keeper, around, streams)
            mixed.append(result_of)
            streams[blend.name] = stream
        steps = {one.name: one.steps for one in built if one.steps}
        described, forms = {}, {}
        for name, stream in streams.items():
            described[name], forms[name] = write_dataset(name, stream, keeper, steps.get(name, ()))
        shutil.rmtree(staging / WORK)
        kept = {name: value for name, value in before.entries.items() if name not in before.own_datasets}
        write_info(staging / FILE_NAME, kept, {name: entry(name, form) for name, form in forms.items()})
        keeper.sweep({path for facts in described.values() for path in mapping(facts["media"])})
        files = {path.relative_to(staging).as_posix(): path for path in staging.rglob("*") if path.is_file()}
        if recipe.target.is_dir():
            carry_over(recipe.target, staging, frozenset(recipe.target / name for name in before.own_files))
        media_root = Path(os.path.relpath(keeper.root, recipe.target)).as_posix()
        manifest.write_manifest(staging, recipe_name(recipe), media_root, described, files, own_digests(keeper))
    return built, mixed


def own_digests(keeper: Keeper) -> dict[str, Mapping[str, object]]:
    """The known hashes of media in the target, by their path in it."""
    return {
        lying.file.relative_to(keeper.staging).as_posix(): lying.digest
        for lying in keeper.lying.values()
        if lying.digest is not None and lying.file.is_relative_to(keeper.staging)
    }


def make_dataset(
    recipe: Recipe,
    dataset: DatasetRecipe,
    keeper: Keeper,
    around: Surroundings,
    note: Callable[[str], object],
    progress: Progress,
) -> tuple[Built, dict[str, Path]]:
    """One dataset's rows, read and taken through its steps: a stream for each dataset that comes of it. What is dropped
    and changed goes to the ledger by `note`."""
    dropped: Counter[str] = Counter()
    changed = kept = 0
    left: dict[str, str] = {}
    work = keeper.staging / WORK / dataset.name
    work.mkdir(parents=True)
    with ArrowWriter(work / "read") as arrow:
        for number, item in enumerate(build_rows(recipe, dataset, keeper)):
            progress(dataset.name, number)
            if isinstance(item, LedgerEntry):
                note(json.dumps(asdict(item), ensure_ascii=False) + "\n")
                if item.action == "dropped":
                    dropped[item.counted] += 1
                elif item.row is None:
                    left[item.source] = item.reason
                else:
                    changed += 1
                continue
            kept += 1
            arrow.write(item)

    def tell(step: str, identity: str, what: Note) -> None:
        """A step's doing as a line of the ledger."""
        line = LedgerEntry(dataset.name, f"step {step}", None, identity, what.action, what.reason)
        note(json.dumps(asdict(line), ensure_ascii=False) + "\n")

    outputs: Mapping[str, Path] = {"": work / "read"}
    counts: list[StepCount] = []
    if dataset.steps:
        see_media(recipe, keeper, around)
        outputs, counts = run_steps(
            work / "read", dataset.steps, around, lambda part, passes: work / f"{passes}{part}", tell
        )
    streams = {f"{dataset.name}_{part}" if part else dataset.name: stream for part, stream in outputs.items()}
    rows = {name: rows_of(stream) for name, stream in streams.items()} if dataset.steps else {dataset.name: kept}
    return Built(dataset.name, kept, changed, dropped, left, tuple(counts), rows, keeper.mode), streams


def surroundings(recipe: Recipe, keeper: Keeper) -> Surroundings:
    """What steps and mixtures know beside the rows; where there are none, no tokenizer is read."""
    root = recipe.media_root if keeper.mode is Mode.REFERENCE else keeper.staging
    asked = bool(recipe.mixes) or any(dataset.steps for dataset in recipe.datasets)
    return Surroundings(root, counting(recipe.trainer, root) if asked and recipe.trainer is not None else None)


def see_media(recipe: Recipe, keeper: Keeper, around: Surroundings) -> None:
    """UsageFault where some of the media have no place yet that paths lead to."""
    placed = (lying.file.is_relative_to(around.media_root) for lying in keeper.lying.values())
    if keeper.mode is Mode.REFERENCE and not all(placed):
        raise UsageFault(
            recipe.file, "steps over media inside the data with media: reference", "media: store, copy or hardlink"
        )


def make_mix(
    recipe: Recipe, blend: MixRecipe, keeper: Keeper, around: Surroundings, streams: Mapping[str, Path]
) -> tuple[Mixed, Path]:
    """A mixture of datasets as a stream."""
    names = [name for name, _ in blend.mix.weights]
    tables = {name: Table(streams[name]) for name in names}
    see_media(recipe, keeper, around)
    wanted = [blend.mix.unit] if blend.mix.unit else []
    facts = {
        name: pl.concat(
            [with_columns(rows, wanted, around).select("row", "id", *wanted) for rows in table.batches()]
            or [pl.DataFrame(schema={"row": pl.UInt32, "id": pl.String} | dict.fromkeys(wanted, pl.Int64))]
        )
        for name, table in tables.items()
    }
    drawn = mix(blend.mix, facts)
    stream = keeper.staging / WORK / f"{blend.name}.mix"
    sink = Sink(stream, checked=False)
    for part in drawn.rows.iter_slices(min(table.stretch for table in tables.values())):
        placed = part.with_row_index("place")
        lots = [
            pl.concat(tables[str(name)].gather(own["row"].to_numpy())).with_columns(own["place"])
            for (name,), own in placed.group_by("dataset")
        ]
        sink.write(pl.concat(lots).sort("place"))
    sink.close()
    for table in tables.values():
        table.close()
    counts = Counter(drawn.rows["dataset"])
    return Mixed(blend.name, sink.rows, {name: counts[name] for name in names}, drawn.missing), stream


def rows_of(stream: Path) -> int:
    """The rows of a stream."""
    table = Table(stream)
    try:
        return len(table)
    finally:
        table.close()


def write_dataset(
    name: str, stream: Path, keeper: Keeper, steps: Sequence[StepCount]
) -> tuple[dict[str, object], Form]:
    """A stream as an Arrow folder and JSON; its description for the manifest."""
    staging = keeper.staging
    rows, form, paths = survey(stream)
    # a second pass over the rows on disk: only now is it known which columns every row must have
    with SharegptWriter(staging / f"{name}.json", form) as out:
        for row in read_stream(stream):
            out.write(row)
    save_to_disk(stream, staging / "arrow" / name)
    description: dict[str, object] = {
        "rows": rows,
        "json": f"{name}.json",
        "arrow": f"arrow/{name}",
        "sha256": manifest.digest(staging / f"{name}.json")["sha256"],
        "media": {path: keeper.digest(path) for path in sorted(paths)},
    }
    if steps:
        description["steps"] = [
            {"step": each.step, "before": each.before, "after": each.after, "changed": each.changed} for each in steps
        ]
    return description, form


def survey(stream: Path) -> tuple[int, Form, set[str]]:
    """The rows of a stream, which columns and roles they use, and their media."""
    kinds: set[MediaKind] = set()
    roles: set[str] = set()
    paths: set[str] = set()
    tools = False
    table = Table(stream)
    for rows in table.batches():
        tools |= rows["tools"].null_count() < len(rows)
        roles.update(rows["messages"].explode().drop_nulls().struct.field("role").unique())
        for kind in MediaKind:
            named = rows[kind.column].explode().drop_nulls().unique()
            paths.update(named)
            kinds |= {kind} if len(named) else set()
    count = len(table)
    table.close()
    return count, Form(tuple(kind for kind in MediaKind if kind in kinds), tools, frozenset(roles)), paths


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
