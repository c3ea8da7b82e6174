"""`curate build`: raw captions and media to a dataset that LLaMA-Factory loads."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from curate.media.keeper import Mode
from curate.progress import Progress
from curate.recipe import Recipe, read_recipe
from curate.steps.registry import KINDS
from curate.writers.build import Build, Built, write_build
from curate.writers.losses import RowsLost
from curate.writers.parts import Mixed
from validators.config import find_config
from validators.limit import Limit, parse_limit

MOST_REASONS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("recipe", type=Path, help="a recipe yaml")
    parser.add_argument("--target", type=Path, help="write here instead of the recipe's target")
    parser.add_argument("--fresh", action="store_true", help="use nothing that earlier builds kept in .TARGET.work")
    parser.add_argument(
        "--locked",
        type=Path,
        metavar="LOCK",
        help="build only what this lock.json of an earlier build says, byte for byte",
    )
    parser.add_argument(
        "--max-lost",
        metavar="LIMIT",
        help='fail, and leave the target as it is, where more rows of a source or a dataset are lost: "0.5%%", 12',
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, write nothing")


def run(args: argparse.Namespace) -> int:
    """Build and say what became of the rows."""
    recipe = read_recipe(args.recipe, args.target)
    recipe = replace(recipe, max_lost=limit_of(args.max_lost, recipe))
    for dataset in recipe.datasets:
        for source in dataset.sources:
            if source.found:
                sys.stdout.write(f"{dataset.name}: {source.path.name} read as {source.format}\n")
    if args.dry_run:
        sys.stdout.write(plan(recipe))
        return 0
    try:
        build = write_build(recipe, Progress(), args.fresh, args.locked)
    except RowsLost as loss:
        sys.stderr.write(describe_losses(loss, recipe.target))
        return 1
    for built in build.datasets:
        sys.stdout.write(describe(built))
    for blend in build.mixes:
        sys.stdout.write(describe_mix(blend))
    if recipe.media is None and build.media is not Mode.REFERENCE:
        sys.stdout.write("media: store, since a source holds its media\n")
    sys.stdout.write(describe_parts(build))
    number = len(recipe.outputs)
    written = f"{number} dataset{'s' * (number > 1)} as {recipe.layout.kind}"
    sys.stdout.write(f"wrote {recipe.target}: {written}, arrow/, dataset_info.json, ledger, manifest, lock\n")
    return 0


def limit_of(given: str | None, recipe: Recipe) -> Limit | None:
    """What may be lost: as the command line says, else the recipe, else the configuration near it."""
    if given is not None:
        return parse_limit(given, "--max-lost")
    return recipe.max_lost if recipe.max_lost is not None else find_config(recipe.file.parent).max_lost


def describe_losses(loss: RowsLost, target: Path) -> str:
    """What was lost, with the commonest reason and what to do, and where all reasons stand."""
    lines = []
    for each in loss.losses:
        lines.append(f"curate: error: {each}\n")
        lines += [f"  {count}: {reason}\n" for reason, count in most(each.reasons)] if len(each.reasons) > 1 else []
    state = "is as it was" if target.exists() else "was not written"
    return "".join(lines) + f"{target} {state}; the reason for each row: {loss.ledger}\n"


def describe_parts(build: Build) -> str:
    """What was made anew and what was kept, where an earlier build left something."""
    if not build.kept:
        return ""
    made = f"made anew: {'; '.join(build.made)}" if build.made else "nothing has changed"
    return f"{build.kept} of {build.kept + len(build.made)} parts kept from the last build; {made}\n"


def describe(dataset: Built) -> str:
    """One dataset's rows: in, kept, changed, dropped and why."""
    dropped = sum(dataset.dropped.values())
    lines = [f"{dataset.name}: {dataset.kept + dropped} rows in, {dataset.kept} kept, {dataset.changed} changed\n"]
    lines += [f"  dropped {count}: {reason}\n" for reason, count in most(dataset.dropped)]
    if len(dataset.dropped) > MOST_REASONS:
        lines.append(f"  … {len(dataset.dropped) - MOST_REASONS} more reasons (ledger.jsonl has them all)\n")
    lines += [f"  {source}: {reason}\n" for source, reason in dataset.left.items()]
    for step in dataset.steps:
        changed = f", {step.changed} changed" if step.changed else ""
        lines.append(f"  {step.step}: {step.before} rows → {step.after}{changed}\n")
        lines += [f"    {count}: {reason}\n" for reason, count in most(step.reasons)]
        if len(step.reasons) > MOST_REASONS:
            lines.append(f"    … {len(step.reasons) - MOST_REASONS} more reasons (ledger.jsonl has them all)\n")
    if dataset.steps:
        lines += [f"  → {name}: {rows} rows\n" for name, rows in dataset.outputs.items()]
    return "".join(lines)


def most(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    """The commonest reasons, the commonest first."""
    return Counter(reasons).most_common(MOST_REASONS)


def describe_mix(blend: Mixed) -> str:
    """A mixture's rows by dataset, and what it lacks."""
    parts = ", ".join(f"{count} of {name}" for name, count in blend.parts.items())
    lines = [f"{blend.name}: {blend.rows} rows mixed: {parts}\n"]
    lines += [f"  {name} lacks {count} for its share\n" for name, count in blend.missing.items()]
    return "".join(lines)


def plan(recipe: Recipe) -> str:
    """What a build would do, in its order."""
    lines = [f"target {recipe.target}, media from {recipe.media_root}: {recipe.media or 'as the sources need it'}"]
    for dataset in recipe.datasets:
        lines.append(f"{dataset.name}:")
        lines += [f"  read {source.path} as {source.format}" for source in dataset.sources]
        lines += [f"  {named.name}: {KINDS[named.name].words}" for named in dataset.steps]
        lines.append(f"  write {', '.join(recipe.layout.part(name, '*') for name in dataset.outputs)}")
    for blend in recipe.mixes:
        weights = ", ".join(f"{weight:g} × {name}" for name, weight in blend.mix.weights)
        total = f", {blend.mix.total} {blend.mix.unit or 'rows'} in all" if blend.mix.total else ""
        lines += [f"{blend.name}:", f"  mix {weights}{total}", f"  write {recipe.layout.part(blend.name, '*')}"]
    return "\n".join([*lines, "nothing was written"]) + "\n"
