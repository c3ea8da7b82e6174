"""From lines of the traces to findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from validators.findings import Found, Place
from validators.traces.model import KIND_NAMES, Traces

FIRST = 5  # rows that are named
MOST = 0.5  # of a dataset's rows, beyond which the dataset is spoken of, and not each row


def at_row(
    traces: Traces, dataset: int, row: int, line: int, found: str, expected: str, path: str = "", cure: str = ""
) -> Found:
    """A finding on a row."""
    file, place = traces.place(dataset, row, line, path)
    return Found(place, found, expected, cure, file=file, dataset=traces.datasets[dataset].name)


def column_of(traces: Traces, dataset: int, kind: int) -> str:
    """The data's name of the column that holds media of a kind."""
    return traces.datasets[dataset].plan.entry.media_column(KIND_NAMES[kind]) or KIND_NAMES[kind].column


def counted(traces: Traces, dataset: int, rows: Sequence[int]) -> str:
    """`2 other rows (4, 9)`, of at most FIRST rows by number."""
    numbers = ", ".join(str(traces.datasets[dataset].loader.locate(row)[1]) for row in rows[:FIRST])
    more = ", …" if len(rows) > FIRST else ""
    return f"{len(rows)} other row{'s' if len(rows) > 1 else ''} ({numbers}{more})"


def shared_rows(traces: Traces, shared: pl.DataFrame, found: str, expected: str) -> Iterator[Found]:
    """Findings on rows that another dataset shares (`first_dataset`, `first_row`); one for the whole dataset where
    most rows are such.

    found: what is said of a row, with {} for the other; of a dataset it begins with a number of rows.
    """
    sizes = dict(traces.rows.group_by("dataset").len().iter_rows())
    for part in shared.partition_by("dataset", maintain_order=True):
        dataset = int(part["dataset"][0])
        if len(part) > 1 and len(part) >= MOST * sizes[dataset]:
            others = sorted({traces.datasets[number].name for number in part["first_dataset"].unique()})
            file, _ = traces.place(dataset, 0)
            words = found.format(f"rows of {', '.join(others)}")
            name = traces.datasets[dataset].name
            text = f"{len(part)} of {sizes[dataset]} rows: {words}"
            yield Found(Place(), text, expected, file=file, dataset=name)
            continue
        kinds = part["kind"] if "kind" in part.columns else [None] * len(part)
        slots = part["slot"] if "slot" in part.columns else [None] * len(part)
        where = part.select("row", "line", "first_dataset", "first_row").iter_rows()
        for (row, line, first_dataset, first), kind, slot in zip(where, kinds, slots, strict=True):
            path = "" if kind is None else f"{column_of(traces, dataset, kind)}[{slot}]"
            file, _ = traces.place(dataset, row)
            words = found.format(traces.words(first_dataset, first, file))
            yield at_row(traces, dataset, row, line, words, expected, path)
