"""A dataset's rows as the trainer's files, all with the columns of NAME.json: one file, or shards in a folder.

Of a folder LLaMA-Factory 0.9.5 (data/loader.py: _load_single_dataset) loads every file, all of one kind, in the order
in which the system lists them, and the first file's types hold for all others (datasets 4.0.0, arrow_writer.py:
ArrowWriter.write_table). Parquet and Arrow carry their types; those of JSON Lines are told from the first 10 MiB of
the first file, and any shard may be the first. Arrow files are streams, the form that `datasets` itself writes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.writers.form import Form
from curate.writers.layout import Kind, Layout
from curate.writers.shards import GROUP_BYTES
from curate.writers.sharegpt import sharegpt_schema, sharegpt_text
from validators.errors import UsageFault
from validators.sources.json_loading import CHUNK_BYTES

GROUP_ROWS = 1000
"""Rows of a Parquet row group and of an Arrow batch: what the trainer's loader holds at a time."""
MOST_SHARDS = 100_000
"""As many as five digits number in the order of their names."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that the trainer reads: its path from the target, its rows."""

    file: str
    rows: int


class Writer(Protocol):
    """What writes one shard."""

    def write_table(self, table: pa.Table) -> None:
        """Add rows."""

    def close(self) -> None:
        """Finish the file."""


def write_output(name: str, stream: Path, form: Form, layout: Layout, folder: Path) -> tuple[DataFile, ...]:
    """Write a canonical stream below `folder`; UsageFault where the trainer could not load what would be written."""
    if layout.in_folder:
        (folder / name).mkdir()
    with Shards(name, form, layout, folder) as shards:
        for group in groups(trainer_batches(stream, form)):
            shards.write(group)
    return tuple(shards.files)


def trainer_batches(stream: Path, form: Form) -> Iterator[pa.RecordBatch]:
    """The batches of a canonical stream with the columns of NAME.json."""
    schema = sharegpt_schema(form)
    with pa.memory_map(str(stream)) as source:
        for batch in pa.ipc.open_stream(source):
            rows = batch.select(schema.names)
            if form.tools:
                tools: Any = rows["tools"]
                rows = rows.set_column(len(schema) - 1, "tools", pc.fill_null(tools, ""))
            yield rows


def groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Rows by the thousand: a filter may have left few of each batch."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= GROUP_ROWS:
            table = pa.Table.from_batches(waiting)
            whole = rows - rows % GROUP_ROWS
            for start in range(0, whole, GROUP_ROWS):
                yield table.slice(start, GROUP_ROWS).combine_chunks()
            waiting, rows = table.slice(whole).to_batches(), rows - whole
    if rows:
        yield pa.Table.from_batches(waiting).combine_chunks()


class Shards:
    """The shards of one dataset, one open at a time; there is one at least, if without rows."""

    def __init__(self, name: str, form: Form, layout: Layout, folder: Path) -> None:
        self.name, self.form, self.layout, self.folder = name, form, layout, folder
        self.files: list[DataFile] = []
        # in eighths a shard outgrows its size by little
        self.most = min(GROUP_BYTES, (layout.most_bytes or GROUP_BYTES * 8) // 8)
        self.open()

    def __enter__(self) -> Shards:
        return self

    def open(self) -> None:
        """Begin a shard."""
        self.file = self.layout.part(self.name, len(self.files))
        self.rows = 0
        self.sink = pa.OSFile(str(self.folder / self.file), "wb")
        schema = sharegpt_schema(self.form)
        self.writer: Writer
        match self.layout.kind:
            case Kind.PARQUET:
                self.writer = pq.ParquetWriter(self.sink, schema)
            case Kind.ARROW:
                self.writer = pa.ipc.new_stream(self.sink, schema)
            case Kind.JSON:
                self.writer = JsonWriter(self.sink)
            case Kind.JSONL:
                self.writer = LineWriter(self.sink, self.form, self.file)

    def write(self, table: pa.Table) -> None:
        """Add rows; a shard that is full is closed when more come."""
        while table.num_rows:
            if self.is_full():
                self.close()
                if len(self.files) == MOST_SHARDS:
                    raise UsageFault(self.name, f"more than {MOST_SHARDS:,} shards", "fewer", "make shards larger")
                self.open()
            room = table.num_rows if self.layout.shard_rows is None else self.layout.shard_rows - self.rows
            part = table.slice(0, min(room, bearable(table, self.most)))
            self.writer.write_table(part)
            self.rows += part.num_rows
            table = table.slice(part.num_rows)

    def is_full(self) -> bool:
        """Whether the open shard is as large as it may be."""
        most = self.layout.most_bytes
        return self.rows == self.layout.shard_rows or (most is not None and self.rows > 0 and self.sink.tell() >= most)

    def close(self) -> None:
        """Finish the open shard."""
        self.writer.close()
        self.sink.close()
        self.files.append(DataFile(self.file, self.rows))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.sink.close()


def bearable(table: pa.Table, most: int) -> int:
    """How many rows of a table have about so many bytes; one at least."""
    return max(1, most * table.num_rows // max(1, table.nbytes))


class JsonWriter:
    """A JSON array of rows."""

    def __init__(self, sink: pa.NativeFile) -> None:
        self.sink, self.rows = sink, 0
        sink.write(b"[")

    def write_table(self, table: pa.Table) -> None:
        """Add rows."""
        text = ",\n".join(map(sharegpt_text, table.to_pylist()))
        self.sink.write(("\n" if self.rows == 0 else ",\n").encode() + text.encode())
        self.rows += table.num_rows

    def close(self) -> None:
        """End the array."""
        self.sink.write(b"\n]\n")


class LineWriter:
    """JSON Lines whose first 10 MiB show each column's type: a list that is empty in all of them has none, and the
    loader then refuses the first path that comes (validators/sources/json_loading.py)."""

    def __init__(self, sink: pa.NativeFile, form: Form, file: str) -> None:
        self.sink, self.file = sink, file
        self.untold = {kind.column for kind in form.kinds}

    def write_table(self, table: pa.Table) -> None:
        """Add rows."""
        text = io.BytesIO()
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        frame.write_ndjson(text)
        if self.untold and (before := self.sink.tell()) < CHUNK_BYTES:
            ends = np.flatnonzero(np.frombuffer(text.getbuffer(), np.uint8) == ord("\n")) + 1
            early = 1 + int((before + ends[:-1] < CHUNK_BYTES).sum())
            self.untold -= {name for name in self.untold if pc.max(pc.list_value_length(table[name][:early])).as_py()}
        self.sink.write(text.getvalue())

    def close(self) -> None:
        """UsageFault where a type is not told."""
        if self.untold and self.sink.tell():
            raise UsageFault(
                self.file,
                f"no row in the first 10 MiB has {' or '.join(sorted(self.untold))}, and the trainer's loader takes "
                "the types of JSON Lines from there",
                "an entry in an early row of each file",
                "output: parquet, or a shuffle step",
            )


def no_strangers(target: Path, names: Iterable[str], layout: Layout, own: Iterable[str]) -> None:
    """UsageFault for a file in a dataset's folder that no build of the recipe wrote: the trainer would load it too.

    own: the paths from the target of the files that the last build wrote.
    """
    if not layout.in_folder:
        return
    known = {target / path for path in own}
    for name in names:
        home = target / name
        found = [home, *home.rglob("*")]
        for path in sorted(path for path in found if path.is_file() or path.is_symlink()):
            if path not in known:
                raise UsageFault(
                    path, f"not of this build, and the trainer loads all of {name}/", "a folder of its own", "move it"
                )
