"""`curate fix`: mend what a machine can mend, and say what is left."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from curate.commands import configured, fixing
from validators.report.text import verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "target",
        nargs="+",
        help="a train yaml, a dataset_info.json[:name], a .json/.jsonl of conversations, or a build folder",
    )
    parser.add_argument(
        "--unsafe-fixes",
        action="store_true",
        help="also fixes that guess what was meant: tags put in or taken out, turns joined or dropped",
    )
    parser.add_argument(
        "--diff",
        action="store_true",
        help="print what would change and write nothing; exit with 1 if there is anything, else 0",
    )
    parser.add_argument(
        "--in-place", action="store_true", help="keep no backup; without this, the file as it was stays as NAME.bak"
    )
    parser.add_argument(
        "--quarantine",
        action="store_true",
        help="move rows that the trainer would still drop or stop at to STEM.quarantine.jsonl, with the reasons",
    )
    parser.add_argument("--full", action="store_true", help="print every line, however many are alike")
    parser.add_argument(
        "--skip-unrelated", action="store_true", help="pass over .json and .jsonl files that hold no conversations"
    )
    configured.add_target_arguments(parser)
    configured.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Fix each target; the worst exit code."""
    checker = configured.checker(args)
    options = configured.target_options(args)
    way = fixing.Way(args.unsafe_fixes, args.diff, args.in_place, args.quarantine, args.full)
    worst = 0
    for target in args.target:
        if args.skip_unrelated and configured.is_unrelated(Path(target)):
            continue
        fixed = fixing.fix(target, checker, options, way, sys.stdout)
        if args.diff:
            worst = max(worst, int(fixed.changed))
            continue
        report = checker.settled(target, fixed.report, options.depth)
        sys.stdout.write(f"Left in {target}: {verdict(report)}\n")
        worst = max(worst, report.exit_code)
    checker.finish()
    return worst
