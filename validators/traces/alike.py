"""Rows and media that are the same, found in the traces by their hashes."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from validators.traces.hashing import scrambled
from validators.traces.model import TALK, Traces


def of(frame: pl.DataFrame, datasets: Sequence[int]) -> pl.DataFrame:
    """The lines of these datasets."""
    return frame.filter(pl.col("dataset").is_in(datasets))


def keyed(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """Several hashes as one."""
    whole = frame[columns[0]].to_numpy()
    for column in columns[1:]:
        whole = scrambled(whole) ^ frame[column].to_numpy()
    return pl.Series("key", whole, dtype=pl.UInt64)


def repeated(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The lines that share these columns with another line, in order, each with `first_dataset` and `first_row`: the
    first that has them."""
    twins = frame.filter(keyed(frame, columns).is_duplicated())
    firsts = (pl.col(name).first().over(columns).alias(f"first_{name}") for name in ("dataset", "row"))
    return twins.with_columns(*firsts)


def later(twins: pl.DataFrame) -> pl.DataFrame:
    """Without the first of each."""
    return twins.filter((pl.col("dataset") != pl.col("first_dataset")) | (pl.col("row") != pl.col("first_row")))


def across(frame: pl.DataFrame, known: Sequence[int], others: Sequence[int], columns: Sequence[str]) -> pl.DataFrame:
    """The lines of other datasets that share these columns with one of the known, which is `first_…`."""
    have = of(frame, known).unique(columns, keep="first", maintain_order=True)
    have = have.select(*columns, pl.col("dataset").alias("first_dataset"), pl.col("row").alias("first_row"))
    return of(frame, others).join(have, on=list(columns), maintain_order="left")


def doubles(traces: Traces) -> pl.DataFrame:
    """Rows to train on whose talk and media an earlier row of the same dataset has."""
    return later(repeated(of(traces.rows, traces.learned), ["dataset", *TALK]))


def leaked(traces: Traces) -> pl.DataFrame:
    """Rows to evaluate with that are rows to train on, too."""
    return across(traces.rows, traces.learned, traces.evaluated, TALK)


def leaked_media(traces: Traces) -> pl.DataFrame:
    """The first medium of each row to evaluate with that a row to train on has, too; not of rows that are `leaked`."""
    shared = across(traces.media, traces.learned, traces.evaluated, ["kind", "identity"])
    known = leaked(traces).select("dataset", "row")
    shared = shared.join(known, on=["dataset", "row"], how="anti", maintain_order="left")
    return traces.lined(shared.unique(["dataset", "row"], keep="first", maintain_order=True))
