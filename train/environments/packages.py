"""This mmcurate's own packages in a folder by themselves, for the path of another environment's Python.

An environment of the trainer holds mmcurate's dependencies, from its lock, and not mmcurate: the one that the user
started is the one that runs there, whichever release or checkout that is, and nothing of it comes from the network. Its
site-packages cannot be put on the path, for the dependencies there have other versions: so links to the packages alone.
The folder is put on PYTHONPATH by who starts the process; a .pth file in the environment would name one mmcurate for
all that share the environment, and outlive it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import curate
from validators.errors import UsageFault
from validators.llamafactory.environment.store import folder_of_environments

PACKAGES = ("curate", "train", "validators")


def own_packages() -> Path:
    """A folder with links to the packages and metadata of this mmcurate, made where it is not there."""
    home = Path(curate.__file__).resolve().parent.parent
    targets = {name: home / name for name in PACKAGES}
    with suppress(PackageNotFoundError):
        metadata = Path(str(getattr(distribution("mmcurate"), "_path", "")))
        if metadata.is_dir():
            targets[metadata.name] = metadata.resolve()
    key = sha256("\n".join(map(str, targets.values())).encode()).hexdigest()[:16]
    folder = folder_of_environments().parent / "packages" / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, target in targets.items():
            if not (folder / name).exists():
                link(folder / name, target)
    except OSError as error:
        raise UsageFault(folder, f"cannot be made: {error.strerror}", "a data folder that takes links") from error
    return folder


def link(place: Path, target: Path) -> None:
    """A link at `place`; of two processes that make it at once, both get it."""
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target, target_is_directory=True)
    beside.replace(place)
