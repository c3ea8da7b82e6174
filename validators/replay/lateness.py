"""Columns that are empty in the first lot of rows: the trainer gives them the type null and fails on a later value.

Sources: datasets 4.0.0, arrow_dataset.py: Dataset._map_single with arrow_writer.py: ArrowWriter (the first 1,000 rows
written set the schema), as llamafactory 0.9.5 calls it in data/converter.py: align_dataset and data/loader.py:
_get_preprocessed_dataset (there in lots of preprocessing_batch_size).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from validators.rules.rule import BatchView
from validators.settings import TrainerSettings
from validators.sources.batch import Census, LoadFault, LoadKind

WRITER_ROWS = 1000
FIELDS = {"images": "images", "videos": "videos", "audios": "audios", "system": "system prompt", "tools": "tools"}


class Lateness:
    """Watches batches pass, in order; `at` counts judged rows from 0."""

    def __init__(self, settings: TrainerSettings) -> None:
        raw = settings.raw
        size, workers = raw.get("preprocessing_batch_size"), raw.get("preprocessing_num_workers")
        self.lot = size if isinstance(size, int) and size > 0 else WRITER_ROWS
        several = isinstance(workers, int) and workers > 1
        self.watches = not several and raw.get("streaming") is not True
        self.at = 0
        self.first_lot: int | None = None
        self.first_kept: tuple[int, int] | None = None
        self.kinds: set[str] = set()
        self.late: dict[str, int] = {}

    def see(self, view: BatchView) -> None:
        """Note which of the rows that are kept have media of which kind."""
        rows = view.batch.rows
        if self.watches and rows.height:
            base = int(rows["row"][0])
            good = view.turn_counts.filter((pl.col("n") > 0) & (pl.col("n") % 2 == 0))
            kept = good.join(view.misplaced, on="row", how="anti").select("row")
            media = kept.join(view.batch.media.select("row", "kind").unique(), on="row", how="left").sort("row")
            for row, kind in media.iter_rows():
                ordinal = self.at + row - base
                if self.first_lot is None:
                    self.first_lot, self.first_kept = ordinal // self.lot, (ordinal, row)
                if kind is None:
                    continue
                if ordinal // self.lot == self.first_lot:
                    self.kinds.add(kind)
                elif kind not in self.kinds:
                    self.late.setdefault(f"{kind}s", row)
        self.at += rows.height

    def faults(self, census: Census, file: Path) -> Iterator[LoadFault]:
        """One fault for each column that comes too late; rows count over the dataset."""
        if not self.watches or not self.at:
            return
        late = dict(self.late)
        for name, (ordinal, row) in census.first_seen.items():
            if ordinal >= WRITER_ROWS and name in FIELDS:
                late[name] = row
        for name, row in late.items():
            lot = self.lot if name in self.late else WRITER_ROWS
            yield fault(file, row, name, f"no earlier row has {FIELDS[name]}", f"{FIELDS[name]} among the first {lot}")
        if "text" in census.first_seen and "no text" in census.first_seen:
            row = census.first_seen["no text"][1]
            found = "a system prompt that is no text, where other rows have one of text"
            yield LoadFault(LoadKind.MIXED_TYPES, file, row, "system", found, "text everywhere")
        if self.first_kept is not None and self.first_kept[0] >= WRITER_ROWS:
            row = self.first_kept[1]
            yield fault(file, row, "", f"all {self.first_kept[0]} rows before this one are dropped", "a sound row")


def fault(file: Path, row: int, place: str, found: str, expected: str) -> LoadFault:
    """The finding at the first row whose value does not fit the type that nothing gave."""
    cure = "move one such row to the start of the file, or shuffle it"
    return LoadFault(LoadKind.LATE_VALUES, file, row, place, found, f"{expected} rows", cure)
