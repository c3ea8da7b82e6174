"""How far long work has come, for people who wait."""

from __future__ import annotations

import sys
import time

PROGRESS_SECONDS = 3.0


class Progress:
    """A line on stderr every few seconds while rows pass."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def __call__(self, dataset: str, rows: int) -> None:
        """Say how far the dataset is, if it is time."""
        now = time.monotonic()
        if now - self.last >= PROGRESS_SECONDS:
            self.last = now
            sys.stderr.write(f"{dataset}: {rows} rows\n")
