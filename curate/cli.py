"""The `curate` command. A subcommand's module is imported only when it is called: `--help` stays instant."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from validators.errors import UsageFault


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand: its name, its module, one line of help."""

    name: str
    module: str
    help: str


class CommandModule(Protocol):
    """What a subcommand's module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit code: 0 clean, 1 findings, 2 usage or configuration."""


# Modules are named, not imported: this room must not depend on train, which stands above it.
COMMANDS = (
    Command("check", "curate.commands.check", "say, row by row, what the trainer will do with a dataset"),
    Command("fix", "curate.commands.fix", "mend what a machine can mend in data and dataset_info.json"),
    Command("rules", "curate.commands.rules", "list the rules"),
    Command("explain", "curate.commands.explain", "print one rule's page"),
    Command("doctor", "curate.commands.doctor", "say what is installed, what cannot work together, and the cure"),
    Command("completion", "curate.commands.completion", "print a script that completes commands in bash, zsh or fish"),
    Command("build", "curate.commands.build", "raw captions and media to a dataset that LLaMA-Factory loads"),
    Command("convert", "curate.commands.convert", "rows from one format to another; what that loses is named"),
    Command("stats", "curate.commands.stats", "say what datasets are made of: rows, text, media, tokens"),
    Command("view", "curate.commands.view", "show rows: turns, media with their facts, what the trainer makes of them"),
    Command("diff", "curate.commands.diff", "compare two builds, datasets or data files row by row"),
    Command("push", "curate.commands.push", "send a build to the Hugging Face Hub"),
    Command("init", "train.commands.init", "write train yaml, DeepSpeed file and merge yaml for a build and a model"),
    Command("env", "train.commands.env", "say which environment a run's trainer needs, and make it from its lock"),
    Command("train", "train.commands.train", "check, train with LLaMA-Factory, verify the result"),
    Command("runs", "train.commands.runs", "list training runs, compare two, draw their losses"),
    Command("evaluate", "train.commands.evaluate", "answers of the base and of the trained model side by side"),
    Command("export", "train.commands.export", "check, merge adapters into their base, prove the merge"),
)


def root_parser() -> argparse.ArgumentParser:
    """The parser of `curate` itself, without subcommands."""
    parser = argparse.ArgumentParser(
        prog="curate", description="Makes multimodal SFT data provably trainable, then trains on it."
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    chosen = next((command for command in COMMANDS if words and command.name == words[0]), None)
    parser = root_parser()
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    module: CommandModule | None = None
    for command in COMMANDS:
        sub = subparsers.add_parser(command.name, help=command.help, description=command.help)
        if command is chosen:
            module = cast("CommandModule", importlib.import_module(command.module))
            module.add_arguments(sub)
    args = parser.parse_args(words)
    args.words = words  # a command of the trainer's may go on in another Python
    if args.version:
        return print_version()
    if module is None:
        parser.print_help(sys.stderr)
        return 2
    return guarded(module, args)


def guarded(module: CommandModule, args: argparse.Namespace) -> int:
    """Run a subcommand; usage faults become one message and exit code 2, an interrupt 130."""
    try:
        return module.run(args)
    except UsageFault as fault:
        print(f"curate: error: {fault}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `curate rules | head`: the reader left, and Python must not complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("curate: interrupted", file=sys.stderr)
        return 130


def print_version() -> int:
    """Print the installed version."""
    from importlib.metadata import version

    print(f"mmcurate {version('mmcurate')}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
