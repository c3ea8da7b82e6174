"""`curate build`: raw captions and media to a dataset that LLaMA-Factory loads."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from curate.media.keeper import Mode
from curate.progress import Progress
from curate.recipe import read_recipe
from curate.writers.build import Built, write_build


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("recipe", type=Path, help="a recipe yaml")
    parser.add_argument("--target", type=Path, help="write here instead of the recipe's target")


def run(args: argparse.Namespace) -> int:
    """Build and say what became of the rows."""
    recipe = read_recipe(args.recipe, args.target)
    for dataset in recipe.datasets:
        for source in dataset.sources:
            if source.found:
                sys.stdout.write(f"{dataset.name}: {source.path.name} read as {source.format}\n")
    built = write_build(recipe, Progress())
    for built_one in built:
        sys.stdout.write(describe(built_one))
    if recipe.media is None and built and built[0].media is not Mode.REFERENCE:
        sys.stdout.write("media: store, since a source holds its media\n")
    sys.stdout.write(f"wrote {recipe.target}: arrow/, {len(built)} JSON files, dataset_info.json, ledger, manifest\n")
    return 0


def describe(dataset: Built) -> str:
    """One dataset's rows: in, kept, changed, dropped and why."""
    dropped = sum(dataset.dropped.values())
    lines = [f"{dataset.name}: {dataset.kept + dropped} rows in, {dataset.kept} kept, {dataset.changed} changed\n"]
    lines += [f"  dropped {count}: {reason}\n" for reason, count in dataset.dropped.items()]
    lines += [f"  {source}: {reason}\n" for source, reason in dataset.left.items()]
    return "".join(lines)
