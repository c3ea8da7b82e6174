"""The Arrow dataset that `datasets.load_from_disk` opens, in the canonical schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from curate.build import Row
from curate.schema import canonical_schema, validate
from curate.writers.manifest import digest

BATCH_ROWS = 1000


class ArrowWriter:
    """Streams rows to one Arrow file, a batch at a time; `checked` holds each batch against the canonical schema."""

    def __init__(self, stream: Path, checked: bool = True) -> None:
        self.checked = checked
        self.schema = canonical_schema()
        self.stream = stream
        self.sink = pa.OSFile(str(stream), "wb")
        self.writer = pa.ipc.new_stream(self.sink, self.schema)
        self.rows: list[dict[str, object]] = []

    def __enter__(self) -> ArrowWriter:
        return self

    def write(self, row: Row) -> None:
        """Add one row."""
        self.rows.append(row.canonical())
        if len(self.rows) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait, once the schema has passed them."""
        batch = pa.RecordBatch.from_pylist(self.rows, schema=self.schema)
        if self.checked:
            validate(batch)
        self.writer.write_batch(batch)
        self.rows = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        self.writer.close()
        self.sink.close()


def read_stream(stream: Path) -> Iterator[Row]:
    """The rows of a written stream, a batch in memory at a time."""
    with pa.memory_map(str(stream)) as source:
        for batch in pa.ipc.open_stream(source):
            yield from (Row.from_canonical(value) for value in batch.to_pylist())


def save_to_disk(stream: Path, folder: Path) -> None:
    """Copy a written stream into a dataset folder.

    The fingerprint is the content's: `datasets` would take the file's time into it, and no two builds would agree.
    """
    import datasets

    datasets.disable_progress_bars()
    table = datasets.table.MemoryMappedTable.from_file(str(stream))
    dataset = datasets.Dataset(table, fingerprint=str(digest(stream)["sha256"])[:16])
    dataset.save_to_disk(str(folder))
