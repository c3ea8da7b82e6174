"""Files to chunks of rows, replaying what the trainer's loader does with each file type.

Sources: llamafactory 0.9.5, extras/constants.py: FILEEXT2TYPE and data/loader.py: _load_single_dataset; datasets
4.0.0, packaged_modules/*; arrow_writer.py: ArrowWriter.write_table (the first table's schema is law for all others,
across files).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validators.sources.batch import LoadFault, LoadKind
from validators.sources.casting import TypeConflict, cast_table, fields_of, is_nested, item_of, words
from validators.sources.chunks import Chunk
from validators.sources.rows import SourceFault

if TYPE_CHECKING:
    import pyarrow as pa

FILE_TYPES: Mapping[str, str] = {
    "arrow": "arrow",
    "csv": "csv",
    "json": "json",
    "jsonl": "json",
    "parquet": "parquet",
    "txt": "text",
}
CSV_ROWS = 10_000
DEEPEST = 62
"""Levels of a column beyond which the written dataset cannot be read again (Arrow's C interface: 64 with the leaf)."""
READ_ROWS = 1024


@dataclass(slots=True)
class Loader:
    """One dataset's files in order. `faults` and `source_faults` fill while chunks are drawn."""

    files: Sequence[Path]
    kind: str
    watched: frozenset[str] = frozenset()
    """Columns that the entry maps: a change of their values matters."""
    faults: list[LoadFault] = field(default_factory=list)
    source_faults: list[tuple[str, SourceFault]] = field(default_factory=list)
    law: pa.Schema | None = None
    rows: int = 0
    starts: list[tuple[int, Path]] = field(default_factory=list)
    """Each file read so far, and the number of its first row in the dataset."""

    def locate(self, row: int) -> tuple[Path, int]:
        """The file of a row of the dataset, and its number there."""
        start, path = next(((start, path) for start, path in reversed(self.starts) if start <= row), (0, self.files[0]))
        return path, row - start

    def chunks(self) -> Iterator[Chunk]:
        """All rows, file by file; after a fault the rows go on as the file has them, where that can be read."""
        for path in self.files:
            before = self.rows
            self.starts.append((before, path))
            try:
                for chunk in self.of_file(path):
                    self.rows += len(chunk)
                    yield chunk
            except SourceFault as fault:
                if fault.found == EMPTY and (len(self.files) > 1 or before):
                    continue
                self.source_faults.append((str(path), fault))

    def of_file(self, path: Path) -> Iterator[Chunk]:
        """One file's chunks, by type."""
        from validators.sources.json_loading import json_chunks

        if self.kind == "json":
            yield from json_chunks(self, path)
            return
        import pyarrow as pa

        tables = {"csv": csv_tables, "parquet": parquet_tables, "arrow": arrow_tables, "text": text_tables}[self.kind]
        first = 0
        try:
            for table in tables(path):
                yield self.conform(path, first, table)
                first += table.num_rows
        except (pa.ArrowException, OSError, ValueError, EOFError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise SourceFault(path, first, 0, f"not readable as {self.kind}: {reason}", self.kind, "") from error

    def conform(self, path: Path, first: int, table: pa.Table, lines: Sequence[int] = ()) -> Chunk:
        """A table under the law; the first one makes it. One fault is enough: the loader stops there."""
        start = self.rows
        for name in table.column_names:
            if is_deep(table.schema.field(name).type):
                found = f"{name} is nested more than {DEEPEST} levels deep"
                raise SourceFault(path, first, 0, found, "flat conversation objects", "take the column out")
        if self.law is None:
            self.law = table.schema.remove_metadata()
            self.note_retyped(path, table)
        elif table.schema.remove_metadata() != self.law and not self.faults:
            try:
                table = cast_table(table, self.law)
            except TypeConflict as conflict:
                self.faults.append(schema_change(path, first, table, conflict))
        return Chunk(path, first, start, lines, table)

    def note_retyped(self, path: Path, table: pa.Table) -> None:
        """Text that the loader takes for a point in time."""
        for name in table.column_names:
            if name in self.watched and self.kind not in ("parquet", "arrow"):
                for place in timestamps(table.schema.field(name).type, name):
                    self.faults_once(
                        LoadFault(
                            LoadKind.RETYPED,
                            path,
                            None,
                            place,
                            f"all values of {place} look like dates, and the loader makes timestamps of them",
                            "text that reaches the converter as text",
                            "reword one of the first values, or store the dataset as Parquet with a text column",
                        )
                    )

    def faults_once(self, fault: LoadFault) -> None:
        """Keep a fault unless its kind and place are known."""
        if all((item.kind, item.place) != (fault.kind, fault.place) for item in self.faults):
            self.faults.append(fault)


EMPTY = "the file is empty"


def is_deep(kind: pa.DataType, left: int = DEEPEST) -> bool:
    """Whether a type is nested more levels deep than can be read back."""
    nested: Any = kind
    if not is_nested(kind) or nested.num_fields == 0:
        return False
    return left == 0 or any(is_deep(nested.field(number).type, left - 1) for number in range(nested.num_fields))


def schema_change(path: Path, first: int, table: pa.Table, conflict: TypeConflict) -> LoadFault:
    """The finding for a chunk that does not fit the first one, at its first row that has the value."""
    row = first
    column = conflict.place.split(".")[0].removesuffix("[]")
    if column in table.column_names:
        nulls = table.column(column).is_null().to_pylist()
        row += nulls.index(False) if False in nulls else 0
    return LoadFault(
        LoadKind.SCHEMA_CHANGE,
        path,
        row,
        conflict.place,
        f"{conflict.place} is {words(conflict.other)} here; the first rows made it {words(conflict.known)}",
        "the columns and types of the first 10 MiB of the first file",
        "give every row all columns, with a typical value early in the file, or store the dataset as Parquet",
    )


def timestamps(kind: pa.DataType, place: str) -> Iterator[str]:
    """Column paths under a type that are points in time."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        yield place
    elif pa.types.is_struct(kind):
        for name, sub in fields_of(kind):
            yield from timestamps(sub, f"{place}.{name}")
    elif pa.types.is_list(kind):
        yield from timestamps(item_of(kind), f"{place}[]")


def csv_tables(path: Path) -> Iterator[pa.Table]:
    """Pandas reads 10,000 rows at a time and guesses types for each lot (packaged_modules/csv/csv.py)."""
    import pandas as pd  # type: ignore[import-untyped]
    import pyarrow as pa

    with pd.read_csv(path, iterator=True, chunksize=CSV_ROWS, float_precision=None) as reader:
        for frame in reader:
            yield pa.Table.from_pandas(frame).replace_schema_metadata(None)


def parquet_tables(path: Path) -> Iterator[pa.Table]:
    """Batches of the row groups."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=READ_ROWS):
            yield pa.Table.from_batches([batch])


def arrow_tables(path: Path) -> Iterator[pa.Table]:
    """Record batches of a stream, or else of an IPC file."""
    import pyarrow as pa

    with path.open("rb") as file:
        try:
            stream = pa.ipc.open_stream(file)
        except (OSError, pa.ArrowInvalid):
            indexed = pa.ipc.open_file(file)
            for number in range(indexed.num_record_batches):
                yield pa.Table.from_batches([indexed.get_batch(number)])
            return
        for batch in stream:
            yield pa.Table.from_batches([batch])


def text_tables(path: Path) -> Iterator[pa.Table]:
    """A row for each line, in one column named text."""
    import pyarrow as pa

    with path.open(encoding="utf-8") as file:
        while lines := file.readlines(1 << 20):
            yield pa.table({"text": pa.array([line.rstrip("\n") for line in lines], pa.string())})
