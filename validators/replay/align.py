"""Roles and tags of a batch, judged in columns, as the converter and the media plugin judge them.

Sources: llamafactory 0.9.5, data/converter.py (alternation, message count) and
data/mm_plugin.py: MMPluginMixin._validate_messages (tags counted in every turn but the system's).
"""

from __future__ import annotations

import polars as pl

from validators.model import MediaKind, Role
from validators.sources.batch import Batch
from validators.sources.dataset_info import DatasetEntry


def role_names(entry: DatasetEntry) -> dict[str, Role]:
    """The data's role names and what each becomes (`tag_mapping`)."""
    return {name: Role(role) for name, role in entry.role_names().items() if name is not None}


def accepted(entry: DatasetEntry) -> tuple[list[str], list[str]]:
    """Role names accepted at even positions (questions) and at odd ones (answers)."""
    questions, answers = entry.accepted()
    return [name for name in questions if name is not None], [name for name in answers if name is not None]


def misplaced(batch: Batch, entry: DatasetEntry) -> pl.DataFrame:
    """The first turn of each row whose role is not accepted where it stands: row, turn, pos, role."""
    return (
        batch.turns.filter((pl.col("pos") >= 0) & ~pl.col("fits"))
        .group_by("row", maintain_order=True)
        .agg(pl.col("turn").first(), pl.col("pos").first(), pl.col("role").first())
    )


def turn_counts(batch: Batch) -> pl.DataFrame:
    """Turns of each readable row without the system's: row, n."""
    counted = batch.turns.filter(pl.col("pos") >= 0).group_by("row").agg(pl.len().alias("n"))
    return (
        batch.rows.filter(pl.col("readable"))
        .select("row")
        .join(counted, on="row", how="left", maintain_order="left")
        .with_columns(pl.col("n").fill_null(0).cast(pl.Int64))
    )


def tag_balance(batch: Batch) -> pl.DataFrame:
    """Placeholders in the text against entries in the list: row, kind, tags, entries (rows with either)."""
    spoken = batch.turns.filter(pl.col("pos") >= 0)
    tags = pl.concat(
        [
            spoken.group_by("row")
            .agg(pl.col("content").str.count_matches(kind.tag, literal=True).sum().cast(pl.Int64).alias("tags"))
            .with_columns(pl.lit(kind.value).alias("kind"))
            .filter(pl.col("tags") > 0)
            for kind in MediaKind
        ]
    ).select("row", "kind", "tags")
    entries = batch.media.group_by("row", "kind").agg(pl.len().cast(pl.Int64).alias("entries"))
    return (
        tags.join(entries, on=["row", "kind"], how="full", coalesce=True)
        .with_columns(pl.col("tags").fill_null(0), pl.col("entries").fill_null(0))
        .sort("row", "kind")
    )
