"""Files of rows: CSV, JSON, Parquet and Arrow, one file or a folder of shards; a few rows in memory at a time."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from curate.ingest.fields import Fields, look_up
from curate.ingest.given import short
from curate.ingest.json_object import ObjectReader
from curate.ingest.raw import Intake, NoUse, Options, RawItem
from validators.errors import UsageFault
from validators.sources.rows import SourceFault, iter_rows

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_BYTES = 32 << 20
BATCH_ROWS = 1024
CELL_CHARS = 64 << 20
"""The longest cell of a CSV file: a medium in base64 has room."""
PEEK_ROWS = 16
BEYOND = "cells beyond the header"
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
SUFFIXES = (".csv", ".tsv", *JSON_SUFFIXES, ".parquet", ".arrow", ".feather")

Shape = Callable[[Fields], RawItem]
"""Reads one row; raises NoUse where it cannot."""


def read(intake: Intake, shape: Shape) -> Iterator[RawItem]:
    """Every row of the source through a shape; rows of no use carry the reason."""
    for path in shards(intake.path):
        yield from shaped(path, rows(path, intake.options), shape, intake.options)


def shaped(path: Path, values: Iterable[object], shape: Shape, options: Options) -> Iterator[RawItem]:
    """Rows through a shape."""
    for row, value in enumerate(values):
        yield one(path, row, value, shape, options)


def one(path: Path, row: int, value: object, shape: Shape, options: Options) -> RawItem:
    """One row through a shape."""
    if not isinstance(value, Mapping):
        return RawItem(path, row, problem="the row is no object")
    try:
        return shape(Fields(path, row, value, options))
    except NoUse as reason:
        return RawItem(path, row, problem=str(reason))


def shards(path: Path) -> tuple[Path, ...]:
    """The file itself, or the files of rows in a folder by name; a folder must not mix kinds."""
    if not path.is_dir():
        return (path,)
    found = sorted(item for item in path.iterdir() if item.suffix.lower() in SUFFIXES and item.is_file())
    suffixes = {item.suffix.lower() for item in found}
    if len(suffixes) != 1:
        kinds = ", ".join(sorted(suffixes)) or "no file of rows"
        raise UsageFault(path, f"a folder with {kinds}", "shards of one kind", "name one file as the path")
    return tuple(found)


def rows(path: Path, options: Options) -> Iterator[object]:
    """The rows of one file; raises UsageFault where the file cannot be read to its end."""
    match path.suffix.lower():
        case ".csv" | ".tsv":
            return csv_rows(path)
        case ".parquet":
            return parquet_rows(path)
        case ".arrow" | ".feather":
            return arrow_rows(path)
    if options.rows_at is not None:
        return ObjectReader.of(path).items(options.rows_at)
    return (raw.value for raw in iter_rows(path))


def peek(path: Path, options: Options) -> tuple[Mapping[str, object], ...]:
    """The first rows; checks that the columns which are mapped exist in them."""
    values = list(islice(rows(shards(path)[0], options), PEEK_ROWS))
    first = tuple(value for value in values if isinstance(value, Mapping))
    for ours, theirs in options.columns.items():
        if first and not any(theirs in row or look_up(row, theirs) is not None for row in first):
            found = ", ".join(dict.fromkeys(str(key) for row in first for key in row))
            raise UsageFault(path, f"columns.{ours}: no column {theirs!r}", f"one of: {found}")
    return first


def header(path: Path) -> tuple[str, ...]:
    """The names of a table's columns."""
    with csv_table(path) as table:
        return tuple(table.fieldnames or ())


def csv_rows(path: Path) -> Iterator[object]:
    """The rows of a table with a header line."""
    with csv_table(path) as table:
        yield from table


@contextmanager
def csv_table(path: Path) -> Iterator[csv.DictReader[str]]:
    """A table of comma- or, in a .tsv, tab-separated values."""
    csv.field_size_limit(CELL_CHARS)
    mark = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, delimiter=mark, strict=True, restkey=BEYOND)
            if not table.fieldnames:
                raise UsageFault(path, "an empty file", "a header line with the columns' names")
            if twice := [name for name, count in Counter(table.fieldnames).items() if count > 1]:
                raise UsageFault(path, f"two columns named {twice[0]!r}", "each name once in the header line")
            yield table
    except UnicodeDecodeError as error:
        raise UsageFault(path, f"bytes that are not UTF-8 at offset {error.start}", "UTF-8 text") from error
    except csv.Error as error:
        kind = "comma" if mark == "," else "tab"
        raise UsageFault(path, f"not CSV: {error}", f"{kind}-separated values") from error


def parquet_rows(path: Path) -> Iterator[object]:
    """As many rows at a time as are bearable, by the size that the file names for them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        # a buffer, so that a column's pages are read one by one and not the whole of it
        with pq.ParquetFile(path, buffer_size=1 << 20) as file:
            for group in range(file.num_row_groups):
                facts = file.metadata.row_group(group)
                weight = max(1, facts.total_byte_size // max(1, facts.num_rows))
                size = max(1, min(BATCH_ROWS, BATCH_BYTES // weight))
                for batch in file.iter_batches(batch_size=size, row_groups=[group]):
                    for value in batch.to_pylist():
                        yield value
                        row += 1
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, row, "Parquet", error) from error


def arrow_rows(path: Path) -> Iterator[object]:
    """An Arrow file or stream; the file is mapped, and a few rows at a time become Python values."""
    import pyarrow as pa

    row = 0
    try:
        with pa.memory_map(str(path)) as source:
            for batch in arrow_batches(source):
                size = max(1, min(BATCH_ROWS, BATCH_BYTES * batch.num_rows // max(1, batch.nbytes)))
                for start in range(0, batch.num_rows, size):
                    for value in batch.slice(start, size).to_pylist():
                        yield value
                        row += 1
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, row, "Arrow", error) from error


def arrow_batches(source: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    """The batches of either of Arrow's two file forms."""
    import pyarrow as pa

    if source.read(6) == b"ARROW1":
        file = pa.ipc.open_file(source)
        yield from (file.get_batch(number) for number in range(file.num_record_batches))
    else:
        source.seek(0)
        yield from pa.ipc.open_stream(source)


def unreadable(path: Path, row: int, kind: str, error: Exception) -> SourceFault:
    """Where reading stops."""
    reason = (str(error).splitlines() or [short(error)])[0]
    return SourceFault(path, row, 0, f"not a readable {kind} file: {reason}", kind, "write the file again")
