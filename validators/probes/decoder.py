"""Whether the trainer that is installed here could decode sound."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from validators.probes import installed

# torchcodec 0.11 has builds for these FFmpeg generations (torchcodec/_internally_replaced_utils.py)
LIBAVUTIL = tuple(f"libavutil.so.{major}" for major in (60, 59, 58, 57, 56))


def audio_decoder_fault() -> str:
    """What is missing for torchaudio.load, "" when nothing is or when no torchaudio is installed here.

    torchaudio decodes through torchcodec since 2.9, and torchcodec through FFmpeg's shared libraries.
    """
    torchaudio = installed.version_of("torchaudio")
    if torchaudio is None or installed.release(torchaudio) < (2, 9):
        return ""
    if installed.version_of("torchcodec") is None:
        return f"torchaudio {torchaudio} without torchcodec"
    if sys.platform == "linux" and not has_libavutil():
        return f"torchaudio {torchaudio} and torchcodec without FFmpeg's shared libraries"
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
