"""`curate completion SHELL`: a completion script on standard output."""

from __future__ import annotations

import argparse
import importlib
import sys

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("shell", choices=SHELLS, help='in ~/.bashrc or ~/.zshrc: eval "$(curate completion SHELL)"')


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    from curate.parsers import command_lines

    sys.stdout.write(importlib.import_module(f"curate.completion.{args.shell}").script(command_lines()))
    return 0
