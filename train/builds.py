"""Locks of C++ extensions that DeepSpeed builds when it needs them first.

A build that is killed leaves its lock, and each later run waits for it without a word and without end (torch 2.11,
utils/file_baton.py: wait; utils/cpp_extension.py: _get_build_directory says where).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path


def old_locks(environment: Mapping[str, str], home: Path, age: float) -> list[Path]:
    """Locks that are older than `age` seconds. Whether a build still runs cannot be told from them."""
    named = environment.get("TORCH_EXTENSIONS_DIR")
    cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    found = Path(named).glob("*/lock") if named else (cache / "torch_extensions").glob("*/*/lock")
    return [path for path in sorted(found) if older(path, age)]


def older(path: Path, age: float) -> bool:
    """Whether a file was last written so many seconds ago."""
    try:
        return time.time() - path.stat().st_mtime > age
    except OSError:
        return False


def lock_words(age: float) -> str:
    """What to say of old locks of this user's; "" for none."""
    locks = ", ".join(str(path) for path in old_locks(os.environ, Path.home(), age))
    return (
        f"a run that was killed while it compiled may have left {locks}: if nothing compiles, remove it"
        if locks
        else ""
    )
