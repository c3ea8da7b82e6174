"""`curate view`: rows as they are, their media, and what the trainer makes of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from curate.screen import CHOICES, find_screen
from curate.views import options
from curate.views.judge import Judge
from curate.views.lines import written
from curate.views.page import gallery
from curate.views.pick import Choice, picked
from curate.views.row_words import row_lines
from curate.writers.atomic import write_whole
from validators.errors import UsageFault
from validators.report.escaping import encodable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("target", help=options.TARGET)
    parser.add_argument("--dataset", metavar="NAME", help="one of the target's datasets")
    parser.add_argument(
        "--row", type=int, action="append", default=[], metavar="N", help="this row, from 0; can be given again"
    )
    parser.add_argument(
        "--id", action="append", default=[], metavar="ID", help="the row with this id; can be given again"
    )
    parser.add_argument("--grep", metavar="TEXT", default="", help="rows that hold TEXT, whatever its case")
    parser.add_argument("--sample", type=int, metavar="K", help="K of these rows, or of all, by chance")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the chance; the same gives the same rows")
    parser.add_argument("--limit", type=int, default=5, metavar="N", help="at most N rows (default: %(default)s)")
    parser.add_argument("--full", action="store_true", help="print whole texts, however long")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write the rows with pictures, frames and waveforms to a page"
    )
    parser.add_argument("--color", choices=CHOICES, default="auto", help="colours: auto asks the terminal")
    options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Show the rows; 1 where none was found."""
    choice = chosen(args)
    found = options.find_run(args.target, args)
    options.warn_not_read(found.plan)
    datasets = options.named(found.plan, args.dataset)
    if choice.rows and len(datasets) > 1:
        names = ", ".join(item.entry.name for item in datasets)
        raise UsageFault("--row", f"{len(datasets)} datasets have such rows", f"--dataset, one of {names}")
    rows = Judge(found, options.find_policy(args.target)).rows(picked(datasets, choice))
    screen = find_screen(args.color)
    number = 0
    if args.html is not None:
        held = list(rows)
        write_whole(args.html, gallery(held, args.target))
        number = len(held)
    else:
        for number, row in enumerate(rows, 1):
            sys.stdout.write(encodable(written([*([[]] if number > 1 else []), *row_lines(row, args.full)], screen)))
    if not number:
        sys.stderr.write("curate: no such row\n")
    return 0 if number else 1


def chosen(args: argparse.Namespace) -> Choice:
    """What the options ask for."""
    for name, value in (("--row", min(args.row, default=0)), ("--sample", args.sample or 0), ("--limit", args.limit)):
        if value < 0:
            raise UsageFault(name, str(value), "0 or more")
    most = max(args.limit, len(args.row), len(args.id))
    return Choice(frozenset(args.row), frozenset(args.id), args.grep, args.sample, args.seed, most)
