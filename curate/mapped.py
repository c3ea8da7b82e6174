"""Arrow streams on disk, mapped into memory: read where they are needed, and never held as a whole."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

HELD = 32 << 20
"""Bytes of a file that are held at a time."""


class Mapped:
    """The batches of an Arrow stream, which point into the file.

    The system counts the pages of a mapped file that were touched as memory of the process, and so they are let go of
    now and then: they stay in the system's cache. The file is unmapped with the last batch that points there.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.lots: list[pa.RecordBatch] = list(pa.ipc.open_stream(pa.py_buffer(self.map)))

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """All batches in order, HELD bytes in memory at a time."""
        read = 0
        for lot in self.lots:
            yield lot
            read += lot.nbytes
            if read >= HELD:
                self.let_go()
                read = 0

    def let_go(self) -> None:
        """Give the pages that were read back to the system, where it can take them."""
        if hasattr(self.map, "madvise"):
            self.map.madvise(mmap.MADV_DONTNEED)
