"""Builds in processes that are killed: run as a script, it imports once and forks for each line that it is given.

A line is `RECIPE N`: the child builds the recipe and, where N > 0, kills itself at its N-th lasting change to the disk
(a rename, link, removal, flush or new folder). The answer is the child's number when it starts; the caller may kill it
at any time, and reads `done STATUS` when it has ended.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

CHANGES = ("rename", "replace", "link", "unlink", "rmdir", "fsync", "mkdir")


def dies_at(number: int) -> None:
    """Count lasting changes, and end without a word at one of them: half the time before it, half after it."""
    left = [number]

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and number % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return real(*args, **kwargs)
            finally:
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        return changed

    for name in CHANGES:
        setattr(os, name, counting(getattr(os, name)))


def serve() -> None:
    """Fork a build for each line."""
    import datasets
    import polars
    import pyarrow

    import curate.writers.build
    from curate.cli import main

    assert datasets and polars and pyarrow and curate.writers.build
    for line in sys.stdin:
        recipe, _, number = line.strip().rpartition(" ")
        child = os.fork()
        if child == 0:
            sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
            if int(number):
                dies_at(int(number))
            os._exit(main(["build", recipe]))
        print(child, flush=True)  # noqa: T201
        _, status = os.waitpid(child, 0)
        print("done", status, flush=True)  # noqa: T201


if __name__ == "__main__":
    serve()
