"""Where the environments made from the locks stand on disk. Read here; `curate env` writes them."""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path

from validators.llamafactory.environment.locked import LOCKED, LockedEnvironment

LOCKS = Path(__file__).parent / "locks"
MARK = "mmcurate.json"
"""The file that is written last: without it an environment is unfinished."""


def environment_named(name: str) -> LockedEnvironment:
    """The locked environment of this name; KeyError for a name that is none."""
    return {environment.name: environment for environment in LOCKED}[name]


def variables_of(name: str) -> dict[str, str]:
    """The environment variables that the trainer needs in an environment; none in one that is not locked."""
    return next((dict(each.variables) for each in LOCKED if each.name == name), {})


def lock_of(name: str) -> Path:
    """The lock's file, pip's requirements with hashes."""
    return LOCKS / environment_named(name).lock


def folder_of_environments() -> Path:
    """The folder of all made environments, under the user's data folder."""
    from platformdirs import user_data_path

    return user_data_path("mmcurate") / "environments"


def path_of(name: str) -> Path:
    """The folder of the environment that its present lock makes; another lock makes another folder.

    FileNotFoundError where this installation has no such lock.
    """
    return folder_of_environments() / f"{name}-{sha256(lock_of(name).read_bytes()).hexdigest()[:16]}"


def is_made(name: str) -> bool:
    """Whether the environment of the present lock stands there whole."""
    return lock_of(name).is_file() and (path_of(name) / MARK).is_file()


def packages_of(name: str) -> Path | None:
    """The site-packages of a made environment; None where it is not made."""
    if not is_made(name):
        return None
    return next(path_of(name).glob("[Ll]ib*/**/site-packages"), None)


def python_of(name: str) -> Path:
    """The environment's Python, made or not."""
    windows = sys.platform == "win32"
    return path_of(name).joinpath(*(("Scripts", "python.exe") if windows else ("bin", "python")))
