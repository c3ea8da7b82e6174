"""What runs on from row to row and from dataset to dataset: the seeded draw, and the types that the first rows set.

A column that is empty in the first lot of rows gets the type null, and the trainer fails on its first later value.
Sources: datasets 4.0.0, arrow_dataset.py: Dataset._map_single with arrow_writer.py: ArrowWriter (the first 1,000 rows
written set the schema), as llamafactory 0.9.5 calls it in data/converter.py: align_dataset (each dataset) and
data/loader.py: _get_preprocessed_dataset (all datasets in a row, in lots of preprocessing_batch_size).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from validators.rules.rule import BatchView
from validators.settings import TrainerSettings
from validators.sources.batch import Census, LoadFault, LoadKind

WRITER_ROWS = 1000
DRAWN_AT_ONCE = 1 << 20
FIELDS = {"images": "images", "videos": "videos", "audios": "audios", "system": "system prompt", "tools": "tools"}
CURE = "move one such row to the front of the first dataset, or shuffle the rows"


ALL_ROWS = 1 << 40
"""More rows than a data set has."""


def lot_of(size: object) -> int:
    """Rows that are preprocessed at a time: all where the number is null or not above 0 (datasets 4.0.0,
    arrow_dataset.py: _map_single)."""
    if size is None:
        return ALL_ROWS
    if not isinstance(size, int):
        return WRITER_ROWS
    return min(size, ALL_ROWS) if size > 0 else ALL_ROWS


class Course:
    """One run's training or evaluation datasets, in the order in which they are loaded."""

    def __init__(self, settings: TrainerSettings) -> None:
        import numpy as np

        self.settings = settings
        raw = settings.raw
        seed = raw.get("seed", 42)
        self.random = np.random.RandomState(seed if isinstance(seed, int) and 0 <= seed < 2**32 else 42)
        size = raw.get("preprocessing_batch_size", WRITER_ROWS)
        workers = raw.get("preprocessing_num_workers")
        several = isinstance(workers, int) and workers > 1
        self.lot = lot_of(size)
        self.watches = not several and raw.get("streaming") is not True
        mixes = raw.get("mix_strategy", "concat") != "concat" or bool(raw.get("val_size"))
        self.in_order = self.watches and not mixes and not settings.packing and not settings.neat_packing
        self.drawn = False
        self.at = 0
        self.in_dataset = 0
        self.first_kept: int | None = None
        self.first_lot: int | None = None
        self.last = False
        self.kept_lots: set[int] = set()
        self.closed_lots = 0
        self.kinds: set[str] = set()
        self.late: dict[str, tuple[int, str]] = {}

    def draw(self, rows: int, wanted: int) -> list[int]:
        """The rows that num_samples takes, each once (data/loader.py: _load_single_dataset, which takes some again)."""
        if rows <= 0 or wanted <= 0:
            return []
        drawn = [int(row) for row in self.random.permutation(rows)[:wanted]]
        for left in range(wanted - rows, 0, -DRAWN_AT_ONCE):  # all rows are drawn: more only move the chance on
            self.random.choice(rows, min(left, DRAWN_AT_ONCE))
        return drawn

    def evaluation(self) -> Course:
        """The course of the evaluation datasets: the draw goes on, the lots begin anew."""
        other = Course(self.settings)
        other.random = self.random
        return other

    def begin(self, drawn: bool, last: bool) -> None:
        """A new dataset, maybe the last; rows that are drawn come in an order that is not followed."""
        self.last = last
        self.in_dataset = 0
        self.first_kept = None
        self.late = {}
        self.drawn = drawn
        self.in_order &= not drawn

    def see(self, view: BatchView) -> None:
        """Note which of the rows that are kept have media of which kind."""
        rows = view.batch.rows
        if self.watches and rows.height:
            base = int(rows["row"][0])
            good = view.turn_counts.filter((pl.col("n") > 0) & (pl.col("n") % 2 == 0))
            kept = good.join(view.misplaced, on="row", how="anti").select("row")
            if kept.height and self.first_kept is None:
                self.first_kept = self.in_dataset + int(kept["row"].min()) - base  # type: ignore[arg-type]
            if self.in_order:
                self.see_lots(kept, view.batch.media, base)
        self.at += rows.height
        self.in_dataset += rows.height

    def see_lots(self, kept: pl.DataFrame, media: pl.DataFrame, base: int) -> None:
        """The same by lots of the preprocessing, which runs over all datasets."""
        lots = kept.with_columns(((pl.col("row") - base + self.at) // self.lot).alias("lot")).sort("row")
        if not lots.height:
            return
        self.kept_lots |= set(lots["lot"])
        if self.first_lot is None:
            self.first_lot = int(lots["lot"][0])
        seen = lots.join(media.select("row", "kind").unique(), on="row").sort("row")
        early = pl.col("lot") == self.first_lot
        self.kinds |= set(seen.filter(early)["kind"])
        firsts = seen.filter(~early).group_by("kind").agg(pl.col("row").min())
        for kind, row in firsts.sort("kind").iter_rows():
            if kind not in self.kinds:
                self.kinds.add(kind)
                self.late[f"{kind}s"] = (row, f"none of the first {self.lot} rows that are preprocessed has {kind}s")

    def close_lots(self) -> None:
        """Note the first of the lots that are through and of which no row is left.

        The processor gives no column at all for such a lot, and the writer has columns already, or gets them next
        ("Schema and number of arrays unequal").
        """
        whole, part = divmod(self.at, self.lot)
        through = range(self.closed_lots, whole + (1 if part and self.last else 0))
        self.closed_lots = through.stop
        if not self.in_order or not self.kept_lots:
            through = range(0)
        empty = next((lot for lot in through if lot not in self.kept_lots), None)
        if empty is not None:
            first = max(0, empty * self.lot - (self.at - self.in_dataset))
            size = min(self.lot, self.at - empty * self.lot)
            self.late["rows"] = (first, f"all {size} rows of one lot of the preprocessing, from here on, are dropped")

    def faults(self, census: Census, locate: Callable[[int], tuple[Path, int]]) -> Iterator[LoadFault]:
        """The dataset's faults when its last row has passed; `locate` finds a row's file and its number there."""
        if not self.watches:
            return
        self.close_lots()
        late = dict(self.late)
        for name, (ordinal, row) in census.first_seen.items() if not self.drawn else ():
            if ordinal >= WRITER_ROWS and name in FIELDS:
                late[name] = (row, f"none of the first {WRITER_ROWS} rows has {FIELDS[name]}")
        if self.first_kept is not None and self.first_kept >= WRITER_ROWS and not self.drawn:
            late["rows"] = (self.first_kept, f"all {self.first_kept} rows before are dropped")
        for name, (row, found) in late.items():
            place = "" if name == "rows" else name
            yield LoadFault(LoadKind.LATE_VALUES, *locate(row), place, found, "a sound row of each kind early on", CURE)
        if "text" in census.first_seen and "no text" in census.first_seen:
            row = census.first_seen["no text"][1]
            found = "a system prompt that is no text, where other rows have one of text"
            yield LoadFault(LoadKind.MIXED_TYPES, *locate(row), "system", found, "text everywhere")
        if self.first_kept is None and self.in_dataset:
            found = f"all {self.in_dataset} rows of the dataset are dropped"
            yield LoadFault(LoadKind.ALL_DROPPED, locate(0)[0], None, "", found, "at least one sound row")
