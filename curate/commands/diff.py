"""`curate diff`: what two builds, two datasets or two data files have different."""

from __future__ import annotations

import argparse
import sys

from curate.progress import Progress
from curate.screen import CHOICES, find_screen
from curate.views import diff_words, options
from curate.views.difference import difference
from curate.views.lines import written
from validators.errors import UsageFault
from validators.report.escaping import encodable

FORMATS = ("text", "json", "markdown")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("a", help="a build folder, a dataset_info.json[:name] or a data file")
    parser.add_argument("b", help="the one to compare with it")
    parser.add_argument("--output-format", choices=FORMATS, default="text", help="how to say it")
    parser.add_argument(
        "--limit",
        type=int,
        default=10,
        metavar="N",
        help="show at most N rows that are added, removed, and changed, of each dataset (default: %(default)s)",
    )
    parser.add_argument(
        "--media",
        action="store_true",
        help="read the media files under paths that both have, instead of comparing the hashes that builds know",
    )
    parser.add_argument("--color", choices=CHOICES, default="auto", help="colours: auto asks the terminal")


def run(args: argparse.Namespace) -> int:
    """Compare; 0 where nothing differs, 1 where something does."""
    if args.limit < 0:
        raise UsageFault("--limit", str(args.limit), "0 or more")
    a, b = options.find_datasets(args.a), options.find_datasets(args.b)
    for side in (a, b):
        options.warn_not_read(side.plan)
    found = difference(a, b, args.limit, args.media, Progress())
    if args.output_format == "json":
        sys.stdout.write(diff_words.document(found))
    elif args.output_format == "markdown":
        sys.stdout.write(diff_words.markdown(found))
    else:
        sys.stdout.write(encodable(written(diff_words.text_lines(found), find_screen(args.color))))
    return 0 if found.same else 1
