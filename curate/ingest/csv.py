"""Tables of columns: CSV and TSV with a header line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from curate.ingest import captions, tables
from curate.ingest.raw import Intake, RawItem
from validators.errors import UsageFault


def read(intake: Intake) -> Iterator[RawItem]:
    """Stream the table's rows; UsageFault when a column is missing or the file is not UTF-8 text."""
    for path in tables.shards(intake.path):
        require(path, tables.header(path), intake.options.columns)
    yield from tables.read(intake, captions.item)


def require(path: Path, names: tuple[str, ...], columns: Mapping[str, str]) -> None:
    """UsageFault where a table has no column for media or none for text."""
    found = ", ".join(names)
    for ours, theirs in columns.items():
        if theirs not in names:
            raise UsageFault(path, f"columns.{ours}: no column {theirs!r}", f"one of: {found}")
    if lacking := captions.missing(names, columns):
        cure = f"map it in the recipe, such as columns: {{{lacking[0]}: {names[0]}}}"
        raise UsageFault(path, f"no column {', '.join(lacking)} (found: {found})", ", ".join(lacking), cure)
