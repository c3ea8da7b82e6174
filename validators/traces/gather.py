"""Batch by batch to Traces."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from validators.rules.rule import BatchView
from validators.sources.loading import Loader
from validators.sources.target import DatasetPlan
from validators.traces.hashing import KINDS, media_hashes, placed, places, starts_of, sums, talk_hashes
from validators.traces.model import FILES, MEDIA, ROWS, Traced, Traces

MOST_SLOTS = 2**16 - 1


@dataclass(slots=True)
class Gather:
    """Collects what Traces holds.

    keeps_files: remember the paths of media too, for rules that read whole files.
    """

    keeps_files: bool = False
    datasets: list[Traced] = field(default_factory=list)
    rows: list[pl.DataFrame] = field(default_factory=list)
    media: list[pl.DataFrame] = field(default_factory=list)
    files: dict[tuple[int, int], str] = field(default_factory=dict)

    def begin(self, plan: DatasetPlan, loader: Loader) -> None:
        """The rows that follow are of this dataset."""
        self.datasets.append(Traced(plan, loader))

    def see(self, view: BatchView) -> None:
        """Take a batch's sound rows in."""
        batch = view.batch
        sound = kept(view)
        if not len(sound):
            return
        number = pl.lit(len(self.datasets) - 1, pl.UInt16).alias("dataset")
        table = sound.join(batch.rows.select("row", "line"), on="row", maintain_order="left")
        talks = talk_hashes(batch.turns, batch.rows.select("row", "tools"))
        table = table.join(talks, on="row", maintain_order="left")
        entries = media_hashes(batch, view.dataset.media_dir).join(sound, on="row", how="semi", maintain_order="left")
        if len(entries):
            table = table.join(sets(entries), on="row", how="left", maintain_order="left")
            entries = entries.with_columns(number, pl.col("slot").clip(0, MOST_SLOTS))
            self.media.append(entries.select(MEDIA.names()).cast(MEDIA))
        else:
            table = table.with_columns(media=pl.lit(None, pl.UInt64))
        table = table.with_columns(number, pl.col("media").fill_null(0), pl.col("line").clip(0, 2**32 - 1))
        self.rows.append(table.select(ROWS.names()).cast(ROWS))
        if self.keeps_files:
            self.note_files(view)

    def note_files(self, view: BatchView) -> None:
        """Remember where the media of a batch are, each once."""
        media = view.batch.media
        root = os.path.abspath(view.dataset.media_dir)  # noqa: PTH100 - no links followed
        known = places(media["path"], root)
        for kind, path, key in zip(media["kind"], known, known.hash(4), strict=True):
            if path is not None:
                self.files.setdefault((KINDS[kind], key), path)

    def traces(self) -> Traces:
        """Everything collected."""
        rows = pl.concat(self.rows) if self.rows else pl.DataFrame(schema=ROWS)
        media = pl.concat(self.media) if self.media else pl.DataFrame(schema=MEDIA)
        files = pl.DataFrame([(*key, path) for key, path in self.files.items()], schema=FILES, orient="row")
        return Traces(tuple(self.datasets), rows, media, files)


def kept(view: BatchView) -> pl.DataFrame:
    """The rows that the converter keeps."""
    good = view.turn_counts.filter((pl.col("n") > 0) & (pl.col("n") % 2 == 0)).select("row")
    if len(view.misplaced):
        good = good.join(view.misplaced, on="row", how="anti", maintain_order="left")
    if view.batch.faults:
        good = good.filter(~pl.col("row").is_in([fault.row for fault in view.batch.faults]))
    return good


def sets(entries: pl.DataFrame) -> pl.DataFrame:
    """Each row's media as one hash: row, media."""
    rows = entries["row"].to_numpy()
    starts = starts_of(rows)
    ordinals = entries["kind"].to_numpy().astype(np.int64) * (MOST_SLOTS + 1) + entries["slot"].to_numpy()
    whole = sums(placed(entries["identity"].to_numpy(), ordinals), starts)
    return pl.DataFrame({"row": rows[starts], "media": pl.Series(whole, dtype=pl.UInt64)}).cast({"row": pl.Int64})
