"""Files with the same bytes under several names."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG

CHUNK = 1 << 20


def same_bytes(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each file whose bytes an earlier one has, and that one. Only files of one size are read."""
    sizes: defaultdict[int, list[str]] = defaultdict(list)
    for path in paths:
        sizes[size_of(path)].append(path)
    for size, group in sizes.items():
        if size > 0 and len(group) > 1:
            first: dict[bytes, str] = {}
            for path in group:
                known = first.setdefault(digest(path), path)
                if known != path:
                    yield path, known


def size_of(path: str) -> int:
    """A regular file's size; 0 for anything else."""
    try:
        status = os.stat(path)  # noqa: PTH116 - once a file
    except (OSError, ValueError):
        return 0
    return status.st_size if S_ISREG(status.st_mode) else 0


def digest(path: str) -> bytes:
    """A hash of the file's bytes; of its name where it cannot be read."""
    state = blake2b(digest_size=16)
    try:
        with Path(path).open("rb") as file:
            while chunk := file.read(CHUNK):
                state.update(chunk)
    except OSError:
        return path.encode("utf-8", "surrogatepass")
    return state.digest()
