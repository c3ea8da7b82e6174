"""A locked environment, made with uv in one step, or not at all; and removed."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from curate.doctor.environment import LIBAVUTIL_OF_FFMPEG, find_libavutil
from curate.writers.atomic import locked, replacing, sweep
from validators.errors import UsageFault
from validators.llamafactory.environment.locked import LOCKED, LockedEnvironment
from validators.llamafactory.environment.store import LOCKS, MARK, folder_of_environments, is_made, lock_of, path_of
from validators.replay.adapter_base import sha256

UV_LOCK = LOCKS / "uv.txt"
FORMAT = 1
PYTHONS = ((3, 11), (3, 12), (3, 13))
"""Versions of Python for which the locked torch and torchcodec have wheels."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stored:
    """A folder among the made environments; `current` where this mmcurate's lock makes it."""

    name: str
    folder: Path
    whole: bool
    current: bool


def make(environment: LockedEnvironment, say: Say) -> Path:
    """The environment's folder, made where it is not; UsageFault where that cannot be done.

    It is built beside its place, its mark written last, and moved there whole. What a killed call left is removed by
    the next; of two calls at once the second is told so.
    """
    folder = path_of(environment.name)
    if is_made(environment.name):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent)
    uv = find_uv(say)
    with replacing(folder, flushed=False) as staging:
        say(f"making {folder} (some 6 GB with torch; linked to uv's cache where that is on the same disk)")
        # relocatable: the programs in it (torchrun, llamafactory-cli) must find their Python after the move
        call(uv, "venv", "--quiet", "--relocatable", "--allow-existing", "--python", base_python(), str(staging))
        call(
            # compiled once here: where PYTHONDONTWRITEBYTECODE is set, each start would compile its imports
            uv, "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode",
            "--python", str(staging / folder_of_programs() / "python"), str(lock_of(environment.name)),
        )  # fmt: skip
        (staging / MARK).write_text(json.dumps(mark_of(environment), indent=2) + "\n", encoding="utf-8")
        with suppress(AttributeError):
            os.sync()
    return folder


def mark_of(environment: LockedEnvironment) -> dict[str, object]:
    """What the mark says: that the environment is whole, and what it holds."""
    return {
        "format": FORMAT,
        "name": environment.name,
        "lock": sha256(lock_of(environment.name)),
        "llamafactory": environment.trainer.llamafactory,
        "transformers": environment.trainer.transformers,
        "python": platform.python_version(),
    }


def folder_of_programs() -> str:
    """Where a venv keeps its programs."""
    return "Scripts" if sys.platform == "win32" else "bin"


def base_python() -> str:
    """What uv is to make the environment with: this Python, where the locked packages have wheels for it."""
    if sys.version_info[:2] in PYTHONS:
        return str(getattr(sys, "_base_executable", None) or sys.executable)
    return ">=3.11,<3.14"


def call(*command: str) -> None:
    """Run uv with its own words on our screen; UsageFault where it fails."""
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        raise UsageFault(command[0], f"does not start: {error.strerror}", "uv") from error
    if code != 0:
        raise UsageFault(
            " ".join(command[:3]), f"ended with {code}; its own message is above", "a whole environment",
            "nothing was left behind: once the cause is gone, the same command again",
        )  # fmt: skip


def find_uv(say: Say) -> str:
    """uv: on PATH, beside this Python, or fetched once by pip into the user's data folder, as its lock names it."""
    # the last is where scripts/bootstrap.py keeps it in a checkout
    beside = (Path(sys.executable).with_name("uv"), Path(sys.prefix) / "uv" / folder_of_programs() / "uv")
    found = shutil.which("uv") or next((str(program) for program in beside if program.is_file()), None)
    if found is not None:
        return found
    home = folder_of_environments().parent / f"uv-{sha256(UV_LOCK)[:16]}"
    program = home / folder_of_programs() / "uv"
    if program.is_file():
        return str(program)
    say("fetching uv, which is not on PATH")
    with tempfile.TemporaryDirectory(prefix="curate-pip-") as scratch, replacing(home, flushed=False) as staging:
        # --no-deps and --require-hashes: nothing but the file that the lock names can land
        words = ["install", "--quiet", "--no-deps", "--require-hashes", "--target", str(staging), "-r", str(UV_LOCK)]
        call(*pip_command(Path(scratch)), *words)
    return str(program)


def pip_command(scratch: Path) -> list[str]:
    """This Python's pip, else one that ensurepip makes in a scratch folder; UsageFault where there is neither."""
    if succeeds(sys.executable, "-m", "pip", "--version"):
        return [sys.executable, "-m", "pip"]
    if succeeds(sys.executable, "-m", "venv", str(scratch / "pip")):
        return [str(scratch / "pip" / folder_of_programs() / "python"), "-m", "pip"]
    raise UsageFault(
        "uv", "not on PATH, and this Python has neither pip nor ensurepip to fetch it with", "uv",
        "install it (pipx install uv, or as its documentation says), then again",
    )  # fmt: skip


def succeeds(*command: str) -> bool:
    """Whether a probe command ends with 0."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def ffmpeg_words() -> str:
    """What is missing for training on sound; "" where FFmpeg's shared libraries are there.

    The locked torchcodec 0.11 loads any of FFmpeg 4 to 8 (torchcodec/_internally_replaced_utils.py).
    """
    wanted = {LIBAVUTIL_OF_FFMPEG[generation] for generation in range(4, 9)}
    if wanted & set(find_libavutil(Path(sys.prefix))):
        return ""
    return (
        "FFmpeg's shared libraries were not found. Images and videos train without them; audio rows fail with 'Could "
        "not load libtorchcodec'. Cure: apt-get install ffmpeg (or conda install ffmpeg)"
    )


def stored() -> Iterator[Stored]:
    """The folders of environments, of this mmcurate's locks and of others, by name."""
    current = {path_of(each.name): each.name for each in LOCKED if lock_of(each.name).is_file()}
    for folder in sorted(folder_of_environments().glob("*-*")):
        if folder.is_dir() and not folder.name.startswith("."):
            name = current.get(folder, folder.name.rpartition("-")[0])
            yield Stored(name, folder, (folder / MARK).is_file(), folder in current)


def remove(name: str) -> list[Path]:
    """Remove the environments of a name, those of earlier locks too; the folders that are gone.

    UsageFault where one is being made. The mark goes first, so that nothing half gone is taken for whole.
    """
    gone = []
    for each in stored():
        if name in (each.name, each.folder.name):
            with locked(each.folder):
                (each.folder / MARK).unlink(missing_ok=True)
                shutil.rmtree(each.folder)
            gone.append(each.folder)
    sweep(folder_of_environments())
    return gone


def versions_in(folder: Path) -> Mapping[str, object]:
    """What an environment's mark says; empty where it has none."""
    try:
        value = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
