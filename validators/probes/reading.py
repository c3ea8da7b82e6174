"""Reading some bytes of an open file without moving its position."""

from __future__ import annotations

import os

HAS_PREAD = hasattr(os, "pread")  # not on Windows


def read_at(handle: int, length: int, at: int) -> bytes:
    """Up to `length` bytes from offset `at` of the file with that descriptor; fewer where it ends."""
    if HAS_PREAD:
        return os.pread(handle, length, at)
    here = os.lseek(handle, 0, os.SEEK_CUR)
    os.lseek(handle, at, os.SEEK_SET)
    try:
        return os.read(handle, length)
    finally:
        os.lseek(handle, here, os.SEEK_SET)
