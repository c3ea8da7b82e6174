"""Addresses in the place of paths."""

from __future__ import annotations

import re

from validators.model import MediaKind

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
FETCHED = frozenset({"http", "https"})


def scheme_of(path: str) -> str:
    """`https`, `s3` …; "" for a path. `file` is a path's own."""
    found = SCHEME.match(path)
    scheme = found[1].lower() if found else ""
    return "" if scheme == "file" else scheme


def is_fetched(path: str, kind: MediaKind) -> bool:
    """Whether the trainer reads it from the network.

    PyAV and torchcodec hand it to FFmpeg, which does; Pillow takes it for a file's name.
    """
    return kind is not MediaKind.IMAGE and scheme_of(path) in FETCHED
