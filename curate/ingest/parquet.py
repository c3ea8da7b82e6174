"""Parquet and Arrow tables, with media as paths or inside; the form of their rows is told by the first ones."""

from __future__ import annotations

from collections.abc import Iterator

from curate.ingest import tables
from curate.ingest.raw import Intake, RawItem
from curate.ingest.shapes import read_any


def read(intake: Intake) -> Iterator[RawItem]:
    """Stream the rows of a file, or of a folder's shards in the order of their names."""
    for path in tables.shards(intake.path):
        yield from read_any(path, tables.rows(path, intake.options), intake.options)
