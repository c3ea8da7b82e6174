"""`curate stats`: what datasets are made of."""

from __future__ import annotations

import argparse
import sys

from curate.progress import Progress
from curate.screen import find_screen
from curate.views import options, stats_words
from curate.views.lines import written
from curate.views.measure import measure
from validators.report.escaping import encodable

FORMATS = ("text", "json", "markdown")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("target", nargs="+", help=options.TARGET)
    parser.add_argument(
        "--output-format",
        choices=FORMATS,
        default="text",
        help="how to say it; of several targets JSON is a list (docs/stats.md)",
    )
    options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure each target."""
    screen = find_screen("auto") if args.output_format == "text" else None
    documents = []
    for target in args.target:
        found = options.find_run(target, args)
        options.warn_not_read(found.plan)
        stats = measure(found, Progress())
        if args.output_format == "json":
            documents.append(stats_words.document(stats))
        elif args.output_format == "markdown":
            sys.stdout.write(stats_words.markdown(stats))
        else:
            sys.stdout.write(
                encodable(written(stats_words.text_lines(stats, 0 if screen is None else screen.width), screen))
            )
    if args.output_format == "json":
        several = len(documents) > 1
        sys.stdout.write(f"[\n{','.join(documents)}]\n" if several else documents[0])
    return 0
