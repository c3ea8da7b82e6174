"""`curate check`: judge targets and say so."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from curate.commands import configured, fixing
from curate.screen import CHOICES, find_screen
from curate.writers.atomic import write_whole
from validators.errors import UsageFault
from validators.report import json as json_report
from validators.report import statistics
from validators.report.escaping import encodable
from validators.report.formats import BY_NAME, FORMATS, Format
from validators.report.github import SUMMARY_BYTES, step_summary
from validators.report.model import Layout, Report
from validators.rules.rule import Depth

STATISTICS = {
    "text": Format("text", "one after another", statistics.render, streams=True),
    "json": Format("json", "an object for one target, a list of such for several", statistics.render_json),
}
"""The formats that can count findings instead of listing them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    configured.add_targets(parser)
    parser.add_argument(
        "--output-format",
        choices=tuple(BY_NAME),
        default="text",
        help="how to say it; of several targets: " + "; ".join(f"{each.name}: {each.several}" for each in FORMATS),
    )
    parser.add_argument(
        "-o", "--output-file", type=Path, metavar="FILE", help="write to FILE, whole or not at all, instead of stdout"
    )
    parser.add_argument("--statistics", action="store_true", help="count the findings by rule instead of listing them")
    parser.add_argument(
        "--color",
        choices=CHOICES,
        default="auto",
        help="colours in the text report: auto asks the terminal, NO_COLOR and FORCE_COLOR",
    )
    parser.add_argument("--exit-zero", action="store_true", help="exit with 0 whatever the findings")
    configured.add_target_arguments(parser)
    parser.add_argument(
        "--depth",
        choices=tuple(Depth),
        default=Depth.HEADER.value,
        help="what to read: shape, the data alone; header, media headers and lengths in tokens too; decode, whole "
        "media files and every text against every other (default: %(default)s)",
    )
    configured.add_arguments(parser)
    mending = parser.add_mutually_exclusive_group()
    mending.add_argument(
        "--fix", action="store_true", help="mend what can be mended, as `curate fix` does; then report what is left"
    )
    mending.add_argument(
        "--diff",
        action="store_true",
        help="print what --fix would change, and write nothing; exit with 1 if there is any",
    )
    parser.add_argument("--unsafe-fixes", action="store_true", help="with --fix or --diff: also fixes that guess")
    parser.add_argument("--advise", action="store_true", help="the largest media limits that cut nothing, always")
    parser.add_argument(
        "--rows", type=Path, metavar="FILE", help="write each row's outcome and token counts to FILE, as JSON lines"
    )
    parser.add_argument(
        "--verify-with-trainer",
        type=int,
        default=0,
        metavar="N",
        help="compare the predictions for N rows of each dataset with the installed llamafactory's own doing",
    )
    parser.add_argument(
        "--previews",
        type=int,
        default=300,
        metavar="N",
        help="show at most N pictures, frames and sounds in an HTML report",
    )
    parser.add_argument("--full", action="store_true", help="print every finding, however many are alike")


def run(args: argparse.Namespace) -> int:
    """Check each target; the worst exit code, which findings do not raise with --exit-zero."""
    chosen = chosen_format(args)
    if args.verify_with_trainer > 0 and args.depth == Depth.SHAPE:
        raise UsageFault("--verify-with-trainer with --depth shape", "predictions without media", "--depth header")
    layout = Layout(root=Path.cwd(), full=args.full, several=len(args.target) > 1)
    checker = configured.checker(args)
    options = replace(
        configured.target_options(args),
        depth=Depth(args.depth),
        advise=args.advise,
        keep_rows=args.verify_with_trainer > 0 or args.rows is not None,
        previews=max(0, args.previews) if chosen.shows_rows else None,
    )
    if args.unsafe_fixes and not (args.fix or args.diff):
        raise UsageFault("--unsafe-fixes", "nothing is fixed", "it beside --fix or --diff")
    targets = configured.targets(args)
    if args.diff:
        way = fixing.Way(unsafe=args.unsafe_fixes, diff=True)
        return max((int(fixing.fix(each, checker, options, way, sys.stdout).changed) for each in targets), default=0)
    worst = 0
    rows: list[str] = []
    reports: list[Report] = []
    for target in targets:
        if args.fix:
            fixing.fix(target, checker, options, fixing.Way(unsafe=args.unsafe_fixes), sys.stderr)
        report = checker.check(target, options)
        reports.append(report)
        if chosen.streams and args.output_file is None:
            sys.stdout.write(encodable(chosen.render([report], layout)))
        worst = max(worst, 0 if args.exit_zero else report.exit_code)
        rows += json_report.row_lines(report)
        if args.verify_with_trainer > 0:
            # named, not imported: this room must not depend on train, which stands above it
            confirmation = importlib.import_module("train.confirm").confirm(
                Path(target), report, args.verify_with_trainer, args.env
            )
            sys.stdout.flush()
            sys.stderr.write(confirmation.text())
            worst = max(worst, 1 if confirmation.disagreements else 0)
    checker.finish()
    if args.output_file is not None:
        write_whole(args.output_file, encodable(chosen.render(reports, layout)))
    elif not chosen.streams:
        sys.stdout.write(encodable(chosen.render(reports, layout)))
    if args.output_format == "github":
        append_step_summary(reports, layout)
    if args.rows is not None:
        write_whole(args.rows, encodable("".join(rows)))
    return worst


def chosen_format(args: argparse.Namespace) -> Format:
    """The format that was asked for; UsageFault for what does not go together."""
    if args.output_file is not None:
        for target in map(Path, args.target):
            if args.output_file.exists() and target.exists() and args.output_file.samefile(target):
                raise UsageFault(f"--output-file {args.output_file}", "the file to check", "a file of its own")
    formats = STATISTICS if args.statistics else BY_NAME
    if args.output_format not in formats:
        raise UsageFault(
            f"--statistics with --output-format {args.output_format}", "no such form", " or ".join(formats)
        )
    chosen = formats[args.output_format]
    screen = find_screen(args.color) if args.output_format == "text" and args.output_file is None else None
    if screen is None:
        return chosen
    return replace(chosen, render=screen.render_statistics if args.statistics else screen.render)


def append_step_summary(reports: Sequence[Report], layout: Layout) -> None:
    """Add the Markdown report to the file that $GITHUB_STEP_SUMMARY names, within what a step may write there."""
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return
    path = Path(name)
    try:
        held = path.stat().st_size if path.exists() else 0
        with path.open("a", encoding="utf-8") as file:
            file.write(step_summary(reports, layout, max(SUMMARY_BYTES - held, 0)))
    except OSError as error:
        raise UsageFault(path, f"cannot be written: {error.strerror}", "the file of $GITHUB_STEP_SUMMARY") from error
