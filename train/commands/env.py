"""`curate env`: which environment a run needs, and that environment made from its lock."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from train.environments import make as making
from train.environments.choose import Wanted, user_environment, wanted_for
from train.environments.environment import locked_environment
from validators.errors import UsageFault
from validators.llamafactory.environment.locked import LOCKED, LockedEnvironment
from validators.llamafactory.environment.store import environment_named, is_made, path_of
from validators.report.escaping import printable
from validators.settings import read_yaml

NAMES = tuple(each.name for each in LOCKED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "what",
        nargs="*",
        metavar="YAML | list | remove NAME",
        help="a train, merge or inference yaml: say which environment it needs, and make that where none that is there "
        "fits. list: those that there are. remove NAME: one, those of earlier locks of its name too, or one by its "
        "folder's name",
    )
    parser.add_argument("--model", metavar="NAME", help="a hub name or a model folder, in place of a yaml")
    parser.add_argument("--make", metavar="NAME", choices=NAMES, help=f"make one by its name: {', '.join(NAMES)}")
    parser.add_argument("--dry-run", action="store_true", help="say what is needed, and make nothing")


def run(args: argparse.Namespace) -> int:
    """Say what is needed, and make it where it is not there."""
    match args.what, args.model, args.make:
        case [], None, str(name):
            return provide(environment_named(name), args.dry_run)
        case [], str(model), None:
            return provide_for(Wanted(model, {"model_name_or_path": model}), args.dry_run)
        case ["list"], None, None:
            return list_stored()
        case ["remove", name], None, None:
            return remove(name)
        case [yaml], None, None:
            return provide_for(wanted_for(yaml, read_yaml(Path(yaml)), None), args.dry_run)
    raise UsageFault(
        "curate env", " ".join(args.words[1:]) or "nothing to make an environment for",
        "one of: a yaml, --model NAME, --make NAME, list, remove NAME",
    )  # fmt: skip


def provide_for(wanted: Wanted, dry_run: bool) -> int:
    """The environment that a run's model needs, unless one that is there fits."""
    if wanted.named is not None:
        say(f"the configuration names {wanted.named}")
        return provide(environment_named(wanted.named), dry_run) if wanted.named in NAMES else 0
    found, against = user_environment(wanted)
    for words in against:
        say(f"does not fit: {words}")
    if found is not None:
        say(f"fits: {found.words()}")
        say("nothing to make: `curate train`, `curate export` and `curate evaluate` run there")
        return 0
    locked, why = wanted.needed()
    say(f"{wanted.file} needs {locked.name}: {why}")
    return provide(locked, dry_run)


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
        raise UsageFault("curate env remove", f"no environment {name}", "one that `curate env list` names")
    for folder in gone:
        say(f"removed {folder}")
    return 0


def say(text: str) -> None:
    """A line to the screen at once: uv writes to the same one."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()
