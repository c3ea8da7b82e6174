"""Batch by batch to Traces."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from validators.model import MediaKind
from validators.probes.cache import file_of, locate
from validators.rules.rule import BatchView
from validators.sources.loading import Loader
from validators.sources.target import DatasetPlan
from validators.traces.hashing import KINDS, media_hashes, placed, starts_of, sums, talk_hashes
from validators.traces.model import FILES, MEDIA, ROWS, TEXTS, Traced, Traces
from validators.traces.pictures import COARSE, Copies, copy_of
from validators.traces.shingles import SHORTEST, answer_keys, min_keys, talks

MOST_SLOTS = 2**16 - 1


@dataclass(slots=True)
class Gather:
    """Collects what Traces holds.

    closely: collect what depth decode asks for, too.
    """

    closely: bool = False
    datasets: list[Traced] = field(default_factory=list)
    rows: list[pl.DataFrame] = field(default_factory=list)
    media: list[pl.DataFrame] = field(default_factory=list)
    files: dict[tuple[int, int], str | None] = field(default_factory=dict)
    copies: dict[int, Copies] = field(default_factory=dict)
    texts: list[pl.DataFrame] = field(default_factory=list)

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
        entries = media_hashes(batch, view.dataset.media_dir)
        if self.closely:
            self.look_closer(view, sound, entries)
        entries = entries.join(sound, on="row", how="semi", maintain_order="left")
        if len(entries):
            table = table.join(sets(entries), on="row", how="left", maintain_order="left")
            entries = entries.with_columns(number, pl.col("slot").clip(0, MOST_SLOTS))
            self.media.append(entries.select(MEDIA.names()).cast(MEDIA))
        else:
            table = table.with_columns(media=pl.lit(None, pl.UInt64))
        table = table.with_columns(number, pl.col("media").fill_null(0), pl.col("line").clip(0, 2**32 - 1))
        self.rows.append(table.select(ROWS.names()).cast(ROWS))

    def look_closer(self, view: BatchView, sound: pl.DataFrame, entries: pl.DataFrame) -> None:
        """What only depth decode asks for: places of files, small copies of images, keys of texts."""
        long = talks(view.batch.turns.join(sound, on="row", how="semi", maintain_order="left"))
        long = long.filter(pl.col("text").str.len_chars() >= SHORTEST)
        keys = pl.Series("keys", min_keys(long["text"]), dtype=TEXTS["keys"])
        number = pl.lit(len(self.datasets) - 1, pl.UInt16).alias("dataset")
        # short answers say too little for keys: they have the same, and are compared in full
        answered = long.select(
            pl.when(pl.col("answers").str.len_chars() >= SHORTEST).then("answers").otherwise(pl.lit(""))
        )
        answers = pl.Series("answer_keys", answer_keys(answered.to_series()), dtype=TEXTS["answer_keys"])
        self.texts.append(long.select(number, pl.col("row").cast(pl.UInt32), keys, answers))
        images: dict[int, Path | bytes] = {}
        root = view.dataset.media_dir
        for (row, kind, slot, path), key in zip(view.batch.media.iter_rows(), entries["identity"], strict=True):
            code = KINDS[kind]
            if (code, key) in self.files:
                continue
            data = view.batch.inside.get((row, kind, slot))
            located = locate(file_of(path, MediaKind(kind), root), root) if path is not None else None
            self.files[code, key] = None if located is None else located[0]
            if kind == MediaKind.IMAGE.value and (located is not None or data is not None):
                images[key] = Path(located[0]) if located is not None else data or b""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for key, copy in zip(images, pool.map(copy_of, images.values()), strict=True):
                if copy is not None:
                    self.copies[key] = copy

    def traces(self) -> Traces:
        """Everything collected."""
        rows = pl.concat(self.rows) if self.rows else pl.DataFrame(schema=ROWS)
        media = pl.concat(self.media) if self.media else pl.DataFrame(schema=MEDIA)
        found = [(*key, path) for key, path in self.files.items() if path is not None]
        files = pl.DataFrame(found, schema=FILES, orient="row")
        pictures = pl.Series(list(self.copies), dtype=pl.UInt64)
        copies = np.stack(list(self.copies.values())) if self.copies else np.empty((0, COARSE), np.uint8)
        texts = pl.concat(self.texts) if self.texts else pl.DataFrame(schema=TEXTS)
        return Traces(tuple(self.datasets), rows, media, files, pictures, copies, texts)


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
