"""Mending in tests: once, written in place, with what was done."""

from __future__ import annotations

from pathlib import Path

from curate.fixes.engine import commit, mend
from curate.fixes.result import Result
from curate.fixes.session import How
from curate.fixes.workspace import Workspace
from validators.engine import CheckOptions


def mended(target: Path, unsafe: bool = False, quarantine: bool = False, backups: bool = False) -> Result:
    """Mend a target and write it."""
    with Workspace() as space:
        session = mend(str(target), CheckOptions(), How(unsafe, quarantine), space)
        commit(session, keep_backups=backups)
        session.shop.close(discard=False)
    return session.result
