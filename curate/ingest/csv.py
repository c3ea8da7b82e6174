"""A CSV table of captions: file_name, caption."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from curate.ingest.raw import RawItem, media_of
from validators.errors import UsageFault

COLUMNS = ("file_name", "caption")


def read(path: Path) -> Iterator[RawItem]:
    """Stream the table's rows; UsageFault when a column is missing or the file is not UTF-8 text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            if missing := [name for name in COLUMNS if name not in (table.fieldnames or ())]:
                found = ", ".join(table.fieldnames or ()) or "an empty file"
                raise UsageFault(path, f"no column {', '.join(missing)} (found: {found})", ", ".join(COLUMNS))
            for row, record in enumerate(table):
                media = media_of(record["file_name"])
                caption = (record["caption"] or "").strip()
                if isinstance(media, str):
                    yield RawItem(path, row, problem=media)
                elif not caption:
                    yield RawItem(path, row, media, problem="empty caption")
                else:
                    yield RawItem(path, row, media, caption=caption)
    except UnicodeDecodeError as error:
        raise UsageFault(path, f"bytes that are not UTF-8 at offset {error.start}", "UTF-8 text") from error
    except csv.Error as error:
        raise UsageFault(path, f"not CSV: {error}", "comma-separated values") from error
