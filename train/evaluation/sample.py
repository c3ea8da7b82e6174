"""Some rows of the evaluation datasets, laid out for the trainer as datasets of their own.

The trainer drops rows that it cannot use, and numbers its predictions by those that are left. So only rows that are
known to reach it are taken, and prediction N belongs to row N.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from curate.views import options
from curate.views.judge import Judge, ViewedRow
from curate.views.pick import Choice, picked
from validators.errors import UsageFault
from validators.report.model import REACHING
from validators.rules.rule import RunView
from validators.sources.chunks import Chunk
from validators.sources.dataset_info import FILE_NAME, HUB_KEYS
from validators.sources.target import DatasetPlan

if TYPE_CHECKING:
    import pyarrow as pa

ELSEWHERE = frozenset({*HUB_KEYS, "file_name", "split", "subset", "folder", "num_samples"})
"""Keys of an entry that say where its rows lie and how many of them are taken."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows to answer, in the order in which the trainer gets them; `left_out` counts drawn rows that it would drop."""

    rows: tuple[ViewedRow, ...]
    chunks: tuple[tuple[DatasetPlan, Chunk], ...]
    left_out: int

    @property
    def names(self) -> list[str]:
        """The datasets that have rows in it."""
        return list(dict.fromkeys(dataset.entry.name for dataset, _ in self.chunks))


def draw(found: RunView, target: str, number: int, seed: int) -> Sample:
    """So many rows of the run's evaluation datasets by chance, the same for the same seed; 0 for all of them."""
    datasets = [dataset for dataset in found.plan.datasets if dataset.evaluates]
    choice = Choice(sample=number or 1 << 62, seed=seed)
    judge = Judge(found, options.find_policy(target))
    kept: list[tuple[ViewedRow, tuple[DatasetPlan, Chunk]]] = []
    total = 0
    for dataset, chunk in picked(datasets, choice):
        total += 1
        row = judge.row(dataset, chunk)
        if row.shown.outcome in REACHING and not row.raw:
            kept.append((row, (dataset, chunk)))
    if not kept:
        raise UsageFault(target, f"none of {total} drawn rows reaches the trainer", "rows that `curate check` passes")
    return Sample(tuple(row for row, _ in kept), tuple(pair for _, pair in kept), total - len(kept))


def lay_out(sample: Sample, folder: Path) -> None:
    """Write the rows and a dataset_info.json that registers them under their datasets' names."""
    info: dict[str, object] = {}
    for number, name in enumerate(sample.names):
        parts = [(dataset, chunk) for dataset, chunk in sample.chunks if dataset.entry.name == name]
        file = write_rows([chunk for _, chunk in parts], folder / f"rows-{number}")
        info[name] = kept_entry(parts[0][0].entry.raw) | {"file_name": file.name}
    (folder / FILE_NAME).write_text(json.dumps(info, ensure_ascii=True), encoding="ascii")


def kept_entry(raw: Mapping[str, object]) -> dict[str, object]:
    """An entry without what says where its rows lie."""
    return {key: value for key, value in raw.items() if key not in ELSEWHERE}


def write_rows(chunks: Sequence[Chunk], stem: Path) -> Path:
    """Rows as Parquet, with the types that the loader gave them, or as JSON where it reads them as Python values."""
    tables = [chunk.table for chunk in chunks if chunk.table is not None]
    if len(tables) == len(chunks):
        return write_table(tables, stem.with_suffix(".parquet"))
    file = stem.with_suffix(".json")
    values = [row.value for chunk in chunks for row in chunk.raw_rows()]
    file.write_text(json.dumps(values, ensure_ascii=True), encoding="ascii")
    return file


def write_table(tables: Sequence[pa.Table], file: Path) -> Path:
    """Tables, one behind the other, as one file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.concat_tables(tables, promote_options="permissive"), file)
    return file
