"""Whether the trainer that is installed here could decode sound."""

from __future__ import annotations

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# torchcodec 0.11 has builds for these FFmpeg generations (torchcodec/_internally_replaced_utils.py)
LIBAVUTIL = tuple(f"libavutil.so.{major}" for major in (60, 59, 58, 57, 56))


def audio_decoder_fault() -> str:
    """What is missing for torchaudio.load, "" when nothing is or when no torchaudio is installed here.

    torchaudio decodes through torchcodec since 2.9, and torchcodec through FFmpeg's shared libraries.
    """
    installed = version_of("torchaudio")
    if installed is None or release(installed) < (2, 9):
        return ""
    if version_of("torchcodec") is None:
        return f"torchaudio {installed} without torchcodec"
    if sys.platform == "linux" and not has_libavutil():
        return f"torchaudio {installed} and torchcodec without FFmpeg's shared libraries"
    return ""


def has_libavutil() -> bool:
    """Whether the dynamic loader would find one of FFmpeg's libavutil."""
    from ctypes.util import find_library

    if find_library("avutil") is not None:
        return True
    folders = [
        Path(sys.prefix) / "lib",
        *map(Path, filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))),
    ]
    return any((folder / name).exists() for folder in folders for name in LIBAVUTIL)


def libavutil_major() -> int | None:
    """The FFmpeg generation that torchcodec would find (57 is FFmpeg 5, 60 is FFmpeg 8), None where none is."""
    from ctypes.util import find_library

    name = find_library("avutil") or ""
    major = name.rsplit(".", maxsplit=1)[-1]
    return int(major) if major.isdigit() else None


def version_of(distribution: str) -> str | None:
    """An installed distribution's version, None when it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def release(text: str) -> tuple[int, ...]:
    """`2.11.0+cu130` as (2, 11)."""
    return tuple(int(part) for part in text.split("+", maxsplit=1)[0].split(".")[:2] if part.isdigit())
