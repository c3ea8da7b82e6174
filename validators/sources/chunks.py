"""A stretch of rows on its way from the file to the columns: Arrow where it can be, Python values where it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from validators.sources.rows import RawRow

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of one file, held once: `table` as the loader makes it, or `values` as the file has them.

    first: number of the first row in its file; start: the same over the dataset; lines: from 1, empty where unknown.
    """

    path: Path
    first: int
    start: int
    lines: Sequence[int]
    table: pa.Table | None = None
    values: Sequence[object] = ()

    def __len__(self) -> int:
        """Rows."""
        return len(self.values) if self.table is None else self.table.num_rows

    def part(self, start: int, stop: int) -> Chunk:
        """Rows start to stop of the chunk."""
        return Chunk(
            self.path,
            self.first + start,
            self.start + start,
            self.lines[start:stop],
            None if self.table is None else self.table.slice(start, stop - start),
            self.values[start:stop],
        )

    def raw_rows(self) -> list[RawRow]:
        """The rows as Python values, as the converter gets them; `row` counts over the dataset."""
        values = self.values if self.table is None else python_rows(self.table)
        lines = self.lines or [0] * len(values)
        return [
            RawRow(row, line, value)
            for row, line, value in zip(range(self.start, self.start + len(values)), lines, values, strict=True)
        ]


def python_rows(table: pa.Table) -> list[object]:
    """An Arrow table's rows; a table without columns has rows all the same."""
    if table.num_columns == 0:
        return [{} for _ in range(table.num_rows)]
    return list(table.to_pylist())
