"""Chunks of rows to a Batch: by Arrow columns where a chunk is plain, row by row where it is not."""

from __future__ import annotations

from collections.abc import Iterable

from validators.sources.aligner import Aligner
from validators.sources.alpaca import Alpaca
from validators.sources.batch import Batch, Census
from validators.sources.chunks import Chunk
from validators.sources.dataset_info import DatasetEntry
from validators.sources.openai import OpenAi
from validators.sources.rows import RawRow
from validators.sources.sharegpt import ShareGpt

FORMATS: dict[str, type[Aligner]] = {"sharegpt": ShareGpt, "openai": OpenAi, "alpaca": Alpaca}


def flatten(chunk: Chunk, entry: DatasetEntry, census: Census) -> Batch:
    """One chunk as a Batch; the census is filled on the way."""
    batch = as_batch(chunk, entry, census)
    census.see_answers(batch.turns)
    return batch


def as_batch(chunk: Chunk, entry: DatasetEntry, census: Census) -> Batch:
    """By columns where the chunk is plain, else row by row."""
    if chunk.table is not None:
        from validators.sources.columnar import plain_batch

        batch = plain_batch(chunk, entry, census)
        if batch is not None:
            return batch
        for name in chunk.table.column_names:
            census.columns[name] += 0
    return flatten_rows(chunk.raw_rows(), entry, census)


def flatten_rows(rows: Iterable[RawRow], entry: DatasetEntry, census: Census) -> Batch:
    """Rows as Python values, one at a time."""
    aligner = FORMATS[entry.formatting](entry, census)
    for raw in rows:
        aligner.add(raw)
    return aligner.batch()
