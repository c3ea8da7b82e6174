"""The Arrow dataset that `datasets.load_from_disk` opens, in the canonical schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from pathlib import Path
from types import TracebackType
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from curate.build import Row
from curate.ingest.raw import Turn
from curate.mapped import Mapped
from curate.schema import Checker, canonical_schema
from curate.writers.manifest import digest
from validators.model import MediaKind

BATCH_ROWS = 1000


class ArrowWriter:
    """Streams rows to one Arrow file, a batch at a time; `checked` holds them against the canonical schema."""

    def __init__(self, stream: Path, checked: bool = True) -> None:
        self.checker = Checker() if checked else None
        self.schema = canonical_schema()
        self.stream = stream
        self.sink = pa.OSFile(str(stream), "wb")
        self.writer = pa.ipc.new_stream(self.sink, self.schema)
        self.rows: list[Row] = []

    def __enter__(self) -> ArrowWriter:
        return self

    def write(self, row: Row) -> None:
        """Add one row."""
        self.rows.append(row)
        if len(self.rows) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait."""
        batch = batch_of(self.rows, self.schema)
        if self.checker is not None:
            self.checker.see(batch)
        self.writer.write_batch(batch)
        self.rows = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
            if self.checker is not None:
                self.checker.finish()
        self.writer.close()
        self.sink.close()


def batch_of(rows: Sequence[Row], schema: pa.Schema) -> pa.RecordBatch:
    """Rows as a batch of the canonical schema, column by column: an object a row would cost more than all the rest."""
    turns = [turn for row in rows for turn in row.turns]
    message = schema.field("messages").type
    said = pa.StructArray.from_arrays(
        [pa.array([turn.role for turn in turns], pa.string()), pa.array([turn.content for turn in turns], pa.string())],
        fields=list(message.value_type),
    )
    starts = [0, *accumulate(len(row.turns) for row in rows)]
    columns: dict[str, Any] = {
        "id": [row.id for row in rows],
        "messages": pa.ListArray.from_arrays(pa.array(starts, pa.int32()), said, type=message),
        **{kind.column: [row.paths(kind) for row in rows] for kind in MediaKind},
        "system": [None] * len(rows),
        "tools": [row.tools for row in rows],
        "split": [row.split for row in rows],
        "source": [row.source for row in rows],
        "meta": [row.meta for row in rows],
    }
    made = [
        pa.array(columns[field.name], field.type) if field.name != "messages" else columns["messages"]
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(made, schema=schema)


def read_stream(stream: Path) -> Iterator[Row]:
    """The rows of a written stream, a batch in memory at a time."""
    for batch in Mapped(stream):
        yield from rows_in(batch)


def rows_in(batch: pa.RecordBatch) -> Iterator[Row]:
    """The rows of a batch, `batch_of` the other way round."""
    frame = pl.DataFrame(batch)
    said = pl.Series(pc.list_flatten(batch.column("messages"))).struct.unnest()
    turns = map(Turn, said["role"], said["content"])
    lists = [(kind, frame[kind.column].to_list()) for kind in MediaKind]
    lists = [(kind, paths) for kind, paths in lists if any(paths)]
    lengths = frame["messages"].list.len()
    columns = frame.select("id", "source", "tools", "split", "meta").iter_rows()
    for at, (length, (identity, source, tools, split, meta)) in enumerate(zip(lengths, columns, strict=True)):
        media = tuple((kind, path) for kind, paths in lists for path in paths[at])
        yield Row(identity, tuple(islice(turns, length)), media, source, tools, split, meta)


def save_to_disk(stream: Path, folder: Path) -> None:
    """Copy a written stream into a dataset folder.

    The fingerprint is the content's: `datasets` would take the file's time into it, and no two builds would agree.
    """
    import datasets

    datasets.disable_progress_bars()
    file = Mapped(stream)
    table = datasets.table.InMemoryTable(pa.Table.from_batches(file.lots, canonical_schema()))
    dataset = datasets.Dataset(table, fingerprint=str(digest(stream)["sha256"])[:16])
    take = dataset.shard

    def take_next(**which: Any) -> Any:  # noqa: ANN401 (datasets has no types)
        """The next shard that is written; what the one before was written from is let go of."""
        file.let_go()
        return take(**which)

    dataset.shard = take_next
    dataset.save_to_disk(str(folder))
