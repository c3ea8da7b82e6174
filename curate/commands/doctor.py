"""`curate doctor`: what is installed, what of it cannot work together, and the cure."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("yaml", nargs="*", type=Path, help="train yamls: also what these runs need")
    parser.add_argument(
        "--output-format", choices=("text", "json"), default="text", help="words for people, or JSON for programs"
    )
    parser.add_argument(
        "--python", type=Path, metavar="FILE", help="the interpreter of another environment, such as the trainer's"
    )


def run(args: argparse.Namespace) -> int:
    """Look, judge, say."""
    from curate.doctor.environment import take_snapshot
    from curate.doctor.examine import examine, exit_code, render_json, render_text
    from curate.doctor.needs import read_run

    runs = [read_run(file) for file in args.yaml]
    environment = take_snapshot(args.python)
    findings = examine(environment, runs)
    render = render_json if args.output_format == "json" else render_text
    sys.stdout.write(render(environment, findings))
    return exit_code(findings)
