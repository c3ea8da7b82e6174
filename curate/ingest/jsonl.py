"""JSON and JSON lines: `file_name` (a path or a list of paths) and `messages` of role and content, or a `caption`."""

from __future__ import annotations

from collections.abc import Iterator

from curate.ingest import captions, tables
from curate.ingest.raw import Intake, RawItem


def read(intake: Intake) -> Iterator[RawItem]:
    """Stream the rows; broken JSON raises SourceFault with its line."""
    return tables.read(intake, captions.item)
