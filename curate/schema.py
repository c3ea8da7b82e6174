"""The canonical form of a conversation, declared once: as an Arrow schema, and as pandera schemas of its flat views."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandera.polars as pap
    import pyarrow as pa


CHECKED = 4 << 20
"""Bytes of rows that are checked at a time."""


def canonical_schema() -> pa.Schema:
    """One row a conversation.

    id: hash of the content. messages: list of {role, content}, a system turn first where there is one; the roles are
    the trainer's: function is a tool's call and observation its response. images, videos, audios: paths from one media
    root. system: null, as the turn holds it. tools: JSON text. split: the source's. source: the raw file's name and
    row. meta: kept fields as JSON text. All but the lists are null where there is none.
    """
    import pyarrow as pa

    message = pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())])
    paths = pa.list_(pa.string())
    return pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("messages", pa.list_(message)),
            pa.field("images", paths),
            pa.field("videos", paths),
            pa.field("audios", paths),
            pa.field("system", pa.string()),
            pa.field("tools", pa.string()),
            pa.field("split", pa.string()),
            pa.field("source", pa.string()),
            pa.field("meta", pa.string()),
        ]
    )


@cache
def turns_schema() -> pap.DataFrameSchema:
    """The flat view of turns: one row a turn."""
    import pandera.polars as pap
    import polars as pl

    from validators.model import Role

    return pap.DataFrameSchema(
        {
            "id": pap.Column(pl.String),
            "turn": pap.Column(pl.Int64, pap.Check.ge(0)),
            "role": pap.Column(pl.String, pap.Check.isin(list(Role))),
            "content": pap.Column(pl.String, pap.Check.str_length(min_value=1)),
        },
        strict=True,
    )


@cache
def media_schema() -> pap.DataFrameSchema:
    """The flat view of media entries: one row an entry; no path leaves the root."""
    import pandera.polars as pap
    import polars as pl

    return pap.DataFrameSchema(
        {
            "id": pap.Column(pl.String),
            "kind": pap.Column(pl.String, pap.Check.isin(["images", "videos", "audios"])),
            "path": pap.Column(
                pl.String,
                [
                    pap.Check.str_matches(r"^[^/\x00][^\x00]*$"),
                    pap.Check(
                        lambda data: data.lazyframe.select(~pl.col(data.key).str.split("/").list.contains("..")),
                        name="stays below the root",
                    ),
                ],
            ),
        },
        strict=True,
    )


class Checker:
    """Holds batches against the canonical schema, some at a time: a check costs much the same for all sizes."""

    def __init__(self) -> None:
        self.waiting: list[pa.RecordBatch] = []
        self.bytes = 0

    def see(self, batch: pa.RecordBatch) -> None:
        """Take a batch in; raises as `validate` does for this one, or for one before."""
        self.waiting.append(batch)
        self.bytes += batch.nbytes
        if self.bytes >= CHECKED:
            self.finish()

    def finish(self) -> None:
        """Check what waits."""
        import pyarrow as pa

        if self.waiting:
            validate(pa.Table.from_batches(self.waiting))
        self.waiting, self.bytes = [], 0


def validate(rows: pa.RecordBatch | pa.Table) -> None:
    """Hold canonical rows against both flat views; raises pandera's SchemaError at the first breach."""
    import polars as pl

    frame = pl.DataFrame(rows)
    turns = (
        frame.select("id", "messages", turn=pl.int_ranges(0, pl.col("messages").list.len()))
        .explode("messages", "turn")
        .unnest("messages")
        .select("id", "turn", "role", "content")
    )
    turns_schema().validate(turns)
    media = (
        frame.select("id", "images", "videos", "audios")
        .unpivot(index="id", variable_name="kind", value_name="path")
        .filter(pl.col("path").list.len() > 0)
        .explode("path")
    )
    if len(media):
        media_schema().validate(media)
