"""`make support`: which family trains with which llamafactory and transformers, by running each; writes support.json.

For every pair of PAIRS that is at hand and every family of scripts/support/families.py a tiny random model is trained
by the real llamafactory (LoRA, a step a row). Cells of pairs and families that are not run in this call are kept; those
that nobody ran say so. Where a pair's packages stand is told by MMCURATE_PACKAGES, a folder with

    transformers/VERSION    uv pip install --target … --no-deps transformers==VERSION huggingface-hub==1.33.0
    llamafactory/VERSION    uv pip install --target … --no-deps llamafactory==VERSION; `main` is src/ of a checkout

which go over the environment by PYTHONPATH. Models that bring their own code are run from MMCURATE_PUBLISHED, a folder
with one published model folder each (weights are not needed), or MMCURATE_REAL_MINICPM, MiniCPM-V 4.5's alone.

A cell: family, llamafactory, transformers, result ("trains", "fails", "not run"), stage and words of a failure,
fails_on (words by what fails of a family that trains: text, image, video, audio, "lora_target: all", or "together"
where only all rows in one run fail), evidence, source. stage and fails_on are absent where there is nothing to say.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.support.cells import TABLE, Cell, merge, read_cells, write_cells  # noqa: E402
from scripts.support.families import FAMILIES, PublishedFamily  # noqa: E402
from validators.llamafactory.trainer import Trainer  # noqa: E402

MAIN_COMMIT = "ff6d4d12e"
"""The commit of llamafactory's main branch that was run."""
PAIRS = tuple(
    Trainer(llamafactory=llamafactory, transformers=transformers)
    for llamafactory, transformers in (
        ("0.9.5", "4.57.1"),
        ("0.9.5", "5.5.4"),
        ("0.9.5", "5.6.0"),
        ("0.9.5", "5.7.0"),
        ("0.9.4", "4.57.1"),
        ("main", "4.57.1"),
        ("main", "5.5.4"),
    )
)
NO_CODE = "no published code at hand"


def package_folders(pair: Trainer, packages: Path | None) -> list[Path] | None:
    """The folders that go over the environment for a pair; None where one is missing."""
    wanted = {"transformers": pair.transformers, "llamafactory": pair.llamafactory}
    folders = [
        (packages or Path()) / package / wished for package, wished in wanted.items() if version(package) != wished
    ]
    return folders if all(packages and folder.is_dir() for folder in folders) else None


def published_folders() -> Mapping[str, Path]:
    """The published model folders at hand, by family."""
    root = os.environ.get("MMCURATE_PUBLISHED")
    found = {}
    for family in FAMILIES.values():
        if isinstance(family, PublishedFamily) and root and (Path(root) / family.folder / "config.json").is_file():
            found[family.name] = Path(root) / family.folder
    if (real := os.environ.get("MMCURATE_REAL_MINICPM")) and Path(real).is_dir():
        found["minicpm_v_4_5"] = Path(real).resolve()
    return found


def environment(folders: Sequence[Path], work: Path) -> dict[str, str]:
    """The variables of a pair's processes: its packages, no hub, no accelerator, caches of their own."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "HF_HOME": str(work / "hub"),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "DISABLE_VERSION_CHECK": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run_pair(pair: Trainer, folders: Sequence[Path], names: Sequence[str], work: Path) -> Iterator[Cell]:
    """The cells of one pair's families, in a process of its own; one that could not be made yields none."""
    place = work / f"{pair.llamafactory}-{pair.transformers}"
    place.mkdir(parents=True)
    request = {
        "llamafactory": pair.llamafactory,
        "transformers": pair.transformers,
        "note": f" (commit {MAIN_COMMIT})" if pair.llamafactory == "main" else "",
        "families": list(names),
        "work": str(place),
        "published": str(work / "published"),
        "answer": str(place / "cells.jsonl"),
    }
    (place / "request.json").write_text(json.dumps(request))
    command = [sys.executable, "-m", "scripts.support.worker", str(place / "request.json")]
    subprocess.run(command, cwd=ROOT, env=environment(folders, place), check=True)
    for line in (place / "cells.jsonl").read_text().splitlines():
        yield Cell(**json.loads(line))


def not_run(pair: Trainer, name: str, why: str) -> Cell:
    """The cell that nobody ran."""
    return Cell(
        family=name, llamafactory=pair.llamafactory, transformers=pair.transformers, result="not run", words=why
    )


def make_table(pairs: Sequence[Trainer], names: Sequence[str], work: Path, table: Path) -> None:
    """Run the families under the pairs and merge what comes of it into the table, after each pair."""
    published = published_folders()
    if wanted := [f"{name}={published[name]}" for name in names if name in published]:
        command = [sys.executable, "-m", "scripts.support.publish", str(work / "published"), *wanted]
        subprocess.run(command, cwd=ROOT, env=environment([], work), check=True)
    ready = [
        name
        for name in names
        if not isinstance(FAMILIES[name], PublishedFamily) or (work / "published" / name / "config.json").is_file()
    ]
    packages = Path(value) if (value := os.environ.get("MMCURATE_PACKAGES")) else None
    for pair in pairs:
        folders = package_folders(pair, packages)
        found = [not_run(pair, name, NO_CODE) for name in names if name not in ready]
        if folders is None:
            print(f"{pair.words()}: not at hand; MMCURATE_PACKAGES names no folder with it")
            found += [not_run(pair, name, "the versions were not at hand") for name in ready]
        else:
            print(f"{pair.words()}: {len(ready)} families", flush=True)
            found += run_pair(pair, folders, ready, work)
        write_cells(merge(read_cells(table), found), table)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pair", action="append", metavar="LLAMAFACTORY×TRANSFORMERS", help="as 0.9.5x4.57.1")
    parser.add_argument("--family", action="append", choices=FAMILIES, help="these alone")
    parser.add_argument("--table", type=Path, default=TABLE, help="default: the one in the tree")
    parser.add_argument("--work", type=Path, help="a folder to keep, with the logs of every run")
    args = parser.parse_args()
    known = {f"{pair.llamafactory}x{pair.transformers}": pair for pair in PAIRS}
    if unknown := set(args.pair or ()) - set(known):
        parser.error(f"no such pair: {', '.join(sorted(unknown))}; expected: {', '.join(known)}")
    pairs = [known[name] for name in args.pair] if args.pair else list(PAIRS)
    work = args.work or Path(tempfile.mkdtemp(prefix="support-"))
    try:
        make_table(pairs, args.family or list(FAMILIES), work.resolve(), args.table)
    finally:
        if args.work is None:
            shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
