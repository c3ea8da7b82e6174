"""`curate runs`: the runs below folders, newest first; two of them side by side; their losses drawn."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from curate.screen import CHOICES, find_screen
from curate.views.lines import written
from curate.writers.atomic import write_whole
from train.runs import words
from train.runs.compare import compare
from train.runs.read import Run, find_runs, read_run
from validators.errors import UsageFault
from validators.report.escaping import encodable

FORMATS = ("text", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "folder",
        nargs="*",
        type=Path,
        default=[Path()],
        help="folders to look in (default: the working folder); two output folders of runs are compared",
    )
    parser.add_argument("--output-format", choices=FORMATS, default="text", help="how to say it")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with the losses drawn")
    parser.add_argument("--color", choices=CHOICES, default="auto", help="colours: auto asks the terminal")


def run(args: argparse.Namespace) -> int:
    """List or compare; 1 where no run was found."""
    for folder in args.folder:
        if not folder.is_dir():
            raise UsageFault(folder, "no such folder", "a folder with runs in it, or a run's output_dir")
    named = [read_run(folder) for folder in args.folder]
    a, b = named if len(named) == 2 else (None, None)
    found = compare(a, b) if a is not None and b is not None else None
    runs = newest_first(args.folder) if found is None else [found.a, found.b]
    if not runs:
        sys.stderr.write("curate: no run below\n")
        return 1
    if args.html is not None:
        from train.runs.page import page

        write_whole(args.html, page(runs, found))
    elif args.output_format == "json":
        sys.stdout.write(words.document(runs) if found is None else words.comparison_document(found))
    else:
        lines = words.list_lines(runs) if found is None else words.comparison_lines(found)
        sys.stdout.write(encodable(written(lines, find_screen(args.color))))
    return 0


def newest_first(folders: list[Path]) -> list[Run]:
    """All runs below the folders, each once."""
    found = {run.folder.resolve(): run for folder in folders for run in find_runs(folder)}
    return sorted(found.values(), key=lambda run: run.started, reverse=True)
