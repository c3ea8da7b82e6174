"""`shuffle` and `sample`."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from curate.steps.order import draws
from curate.steps.step import Chosen, Note, Surroundings


@dataclass(frozen=True, slots=True)
class Shuffle:
    """All rows in an order that follows from seed and ids alone."""

    seed: int = 0
    columns: tuple[str, ...] = ()

    def choose(self, rows: pl.DataFrame, around: Surroundings) -> Chosen:
        """Every row once."""
        keyed = rows.select("row", "id", key=pl.Series(draws(self.seed, rows["id"]), dtype=pl.UInt64))
        return Chosen({"": keyed.sort("key", "id")["row"]})


@dataclass(frozen=True, slots=True)
class Sample:
    """Some rows by chance, in the order in which they came. `share` of them, or `rows`."""

    rows: int | None = None
    share: float | None = None
    seed: int = 0
    columns: tuple[str, ...] = ()

    def choose(self, rows: pl.DataFrame, around: Surroundings) -> Chosen:
        """The rows whose draw is lowest."""
        wanted = self.rows if self.rows is not None else round((self.share or 0) * len(rows))
        keyed = rows.select("row", "id", key=pl.Series(draws(self.seed, rows["id"]), dtype=pl.UInt64))
        taken = keyed.sort("key", "id").head(wanted)["row"].sort()
        left = keyed.filter(~pl.col("row").is_in(taken.implode()))["row"]
        return Chosen({"": taken}, [Note(row, "dropped", f"not among the {len(taken)} sampled") for row in left])
