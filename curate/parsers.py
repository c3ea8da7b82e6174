"""The command line as data, read from the argparse parsers: what completion scripts and the reference are made of."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import cast

from curate.cli import COMMANDS, CommandModule, root_parser


class Kind(Enum):
    """What an argument's value is, as far as a shell can help with it."""

    FLAG = "flag"
    CHOICE = "choice"
    CODE = "code"
    CODES = "codes"
    TEMPLATE = "template"
    FILE = "file"
    TEXT = "text"


CODE_OF_A_RULE = frozenset({"code"})
CODES_OF_RULES = frozenset({"select", "ignore", "extend_select", "extend_ignore", "fixable", "unfixable"})
PLACES = frozenset({"target", "targets", "a", "b", "tokenizer", "model", "media_dir"})
"""Arguments that are text to argparse, and a file or folder to people."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An option (with flags) or a positional argument (without)."""

    name: str
    flags: tuple[str, ...]
    help: str
    kind: Kind
    choices: tuple[str, ...]
    repeated: bool
    required: bool
    default: str
    """As text; "" where there is none, or where it says nothing."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A subcommand; the name is "" for `curate` itself."""

    name: str
    help: str
    arguments: tuple[Argument, ...]

    @property
    def options(self) -> tuple[Argument, ...]:
        """Those with flags."""
        return tuple(item for item in self.arguments if item.flags)

    @property
    def positionals(self) -> tuple[Argument, ...]:
        """Those without."""
        return tuple(item for item in self.arguments if not item.flags)


def command_lines() -> tuple[CommandLine, ...]:
    """`curate` and its subcommands, in the order of their table; imports each subcommand's module."""
    root = root_parser()
    lines = [CommandLine("", root.description or "", tuple(arguments_of(root)))]
    for command in COMMANDS:
        parser = argparse.ArgumentParser(prog=f"curate {command.name}")
        cast("CommandModule", importlib.import_module(command.module)).add_arguments(parser)
        lines.append(CommandLine(command.name, command.help, tuple(arguments_of(parser))))
    return tuple(lines)


def arguments_of(parser: argparse.ArgumentParser) -> Iterator[Argument]:
    """A parser's arguments; those with suppressed help are kept to themselves."""
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        metavar = action.metavar if isinstance(action.metavar, str) else None
        yield Argument(
            name=metavar or (action.dest.upper() if action.option_strings else action.dest).replace("_", "-"),
            flags=tuple(action.option_strings),
            help=(action.help or "") % {"default": action.default, "prog": parser.prog} if action.help else "",
            kind=kind_of(action),
            choices=tuple(map(str, action.choices or ())),
            repeated=action.nargs in ("+", "*") or isinstance(action, argparse._AppendAction),
            required=action.required if action.option_strings else action.nargs not in ("*", "?"),
            default=default_of(action),
        )


def kind_of(action: argparse.Action) -> Kind:
    """What kind of value an action takes."""
    if action.choices:
        return Kind.CHOICE
    if action.nargs == 0:
        return Kind.FLAG
    if action.dest in CODES_OF_RULES:
        return Kind.CODES
    if action.dest in CODE_OF_A_RULE:
        return Kind.CODE
    if action.dest == "template":
        return Kind.TEMPLATE
    if action.type is Path or action.metavar == "FILE" or action.dest in PLACES:
        return Kind.FILE
    return Kind.TEXT


def default_of(action: argparse.Action) -> str:
    """The default worth telling."""
    silent = action.default in (None, "", False, argparse.SUPPRESS) or action.default == [] or action.nargs == 0
    return "" if silent else str(action.default)
