"""`curate env`: which environment a run needs, and that environment made from its lock."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from train.environments import make as making
from train.environments.choose import user_environment
from train.environments.environment import locked_environment
from train.environments.need import environment_for
from validators.errors import UsageFault
from validators.llamafactory.environment.locked import LOCKED, LockedEnvironment
from validators.llamafactory.environment.store import environment_named, is_made, path_of
from validators.report.escaping import printable
from validators.settings import read_yaml

NAMES = tuple(each.name for each in LOCKED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("yaml", nargs="?", type=Path, help="a train, merge or inference yaml")
    asked.add_argument("--model", metavar="NAME", help="a hub name or a model folder, in place of a yaml")
    asked.add_argument("--make", metavar="NAME", choices=NAMES, help=f"make one by its name: {', '.join(NAMES)}")
    asked.add_argument("--list", action="store_true", help="list the environments that there are")
    asked.add_argument(
        "--remove", metavar="NAME", help="remove one, those of earlier locks of its name too; or one by its folder"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what is needed, and make nothing")


def run(args: argparse.Namespace) -> int:
    """Say what is needed, and make it where it is not there."""
    if args.list:
        return list_stored()
    if args.remove is not None:
        return remove(args.remove)
    if args.make is not None:
        return provide(environment_named(args.make), args.dry_run)
    if args.yaml is None and args.model is None:
        raise UsageFault("curate env", "nothing to make an environment for", "a yaml, --model, --make or --list")
    settings = {"model_name_or_path": args.model} if args.yaml is None else read_yaml(args.yaml)
    return provide_for(settings, args.dry_run)


def provide_for(settings: Mapping[str, object], dry_run: bool) -> int:
    """The environment that a run's model needs, unless one that is there fits."""
    found, against = user_environment(settings)
    for words in against:
        say(f"does not fit: {words}")
    wanted, why = environment_for(settings)
    if found is not None:
        say(f"fits: {found.words()}")
        say("nothing to make: `curate train`, `curate export` and `curate evaluate` run there")
        return 0
    say(f"needs {wanted.name}: {why}")
    return provide(wanted, dry_run)


def provide(wanted: LockedEnvironment, dry_run: bool) -> int:
    """Make a locked environment where it is not there."""
    folder = path_of(wanted.name)
    if is_made(wanted.name):
        say(f"made: {locked_environment(wanted).words()}")
    elif dry_run:
        say(f"not made: {folder}; `curate env --make {wanted.name}` makes it")
        return 0
    else:
        making.make(wanted, say)
        say(f"ready: {locked_environment(wanted).words()}")
    if missing := making.ffmpeg_words():
        say(f"note: {missing}")
    return 0


def list_stored() -> int:
    """Every environment, and what of it is known."""
    found = [*making.stored()]
    for each in found:
        holds = making.versions_in(each.folder)
        versions = ", ".join(
            f"{key} {holds[key]}" for key in ("llamafactory", "transformers", "python") if key in holds
        )
        state = ("of an earlier or a later lock" if not each.current else "") if each.whole else "unfinished"
        say("  ".join(filter(None, (each.name, versions, state, str(each.folder)))))
    missing = [each for each in LOCKED if not is_made(each.name)]
    for locked in missing:
        say(f"{locked.name}  {locked.trainer.words()}  not made  {locked.words}")
    return 0


def remove(name: str) -> int:
    """Remove by name; UsageFault where there is none."""
    gone = making.remove(name)
    if not gone:
        raise UsageFault("--remove", f"no environment {name}", "one that `curate env --list` names")
    for folder in gone:
        say(f"removed {folder}")
    return 0


def say(text: str) -> None:
    """A line to the screen at once: uv writes to the same one."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()
