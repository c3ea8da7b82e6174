"""`curate fix`: mend what a machine can mend, and say what is left."""

from __future__ import annotations

import argparse
import sys

from curate.commands import configured, fixing
from validators.report.text import verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    configured.add_targets(parser)
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
    configured.add_target_arguments(parser)
    configured.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Fix each target; the worst exit code."""
    checker = configured.checker(args)
    options = configured.target_options(args)
    way = fixing.Way(args.unsafe_fixes, args.diff, args.in_place, args.quarantine, args.full)
    worst = 0
    for target in configured.targets(args):
        fixed = fixing.fix(target, checker, options, way, sys.stdout)
        if args.diff:
            worst = max(worst, int(fixed.changed))
            continue
        report = checker.settled(target, fixed.report, options.depth)
        sys.stdout.write(f"Left in {target}: {verdict(report)}\n")
        worst = max(worst, report.exit_code)
    checker.finish()
    return worst
