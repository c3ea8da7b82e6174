"""A few bytes for each row of a dataset, by which two datasets are compared without holding either."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, repeat
from typing import TYPE_CHECKING

import polars as pl

from curate.views.pick import built_rows, ids_in
from validators.model import MediaKind, Role
from validators.sources.batch import Batch, Census
from validators.sources.chunks import Chunk
from validators.sources.flatten import flatten
from validators.sources.target import DatasetPlan

if TYPE_CHECKING:
    import numpy as np

    Keys = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]
    Wholes = np.ndarray[tuple[int, ...], np.dtype[np.bytes_]]

WHOLE, PART = 16, 8  # bytes
NONE = bytes(PART)


@dataclass(slots=True)
class Digests:
    """Of each row, in order: the hash of all that the trainer reads of it, and of parts by which to know it again.

    place: where the row is from, as its build says, or its `id`. asked: its media and first question. answered: its
    media and last answer. A part that the row lacks is all zeros.
    """

    whole: bytearray = field(default_factory=bytearray)
    place: bytearray = field(default_factory=bytearray)
    asked: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)
    media: dict[str, None] | None = None
    """Every path, where that was asked."""

    def __len__(self) -> int:
        """Rows."""
        return len(self.whole) // WHOLE

    def wholes(self) -> Wholes:
        """The whole hashes as a column."""
        import numpy as np

        return np.frombuffer(bytes(self.whole), dtype=f"S{WHOLE}")

    def parts(self) -> tuple[Keys, Keys, Keys]:
        """`place`, `asked` and `answered` as columns."""
        import numpy as np

        place, asked, answered = (
            np.frombuffer(bytes(part), dtype=np.uint64) for part in (self.place, self.asked, self.answered)
        )
        return place, asked, answered


def digest(dataset: DatasetPlan, with_media: bool) -> Digests:
    """One pass over all rows of the files, whatever part of them the trainer takes; raises the SourceFault where
    reading ends early, because what was not read cannot be compared."""
    digests = Digests(media={} if with_media else None)
    built = built_rows(dataset)
    sources = repeat(None) if built is None else chain(built.column("source"), repeat(None))
    loader = dataset.loader()
    for chunk in loader.chunks():
        add(digests, dataset, chunk, sources)
    for _, fault in loader.source_faults:
        raise fault
    return digests


def add(digests: Digests, dataset: DatasetPlan, chunk: Chunk, sources: Iterator[str | None]) -> None:
    """Take one chunk."""
    batch = flatten(chunk, dataset.entry, Census())
    if digests.media is not None:
        digests.media |= dict.fromkeys(batch.media["path"].drop_nulls())
    ids = chain(ids_in(chunk), repeat(None))
    for said, asked, answered, media, source, name in zip(*texts(batch, chunk), sources, ids, strict=False):
        digests.whole += blake2b(f"{said}\0{media}".encode("utf-8", "surrogatepass"), digest_size=WHOLE).digest()
        digests.asked += part(media, asked)
        digests.answered += part(media, answered)
        known = source is not None or name is not None
        digests.place += part("source" if source is not None else "id", str(source or name) if known else None)


def part(*words: str | None) -> bytes:
    """The hash of a part of a row; zeros where some of it is missing."""
    if None in words:
        return NONE
    return blake2b("\0".join(map(str, words)).encode("utf-8", "surrogatepass"), digest_size=PART).digest()


def texts(batch: Batch, chunk: Chunk) -> tuple[list[str], list[str | None], list[str | None], list[str]]:
    """Of each row: all that is said in it, its first question, its last answer, its media.

    Each piece stands behind its length, so that no two rows read the same. A row with a fault of form is taken as the
    file has it.
    """
    role = pl.col("canon").fill_null(pl.lit("?") + pl.col("role").fill_null(""))
    words = pl.col("content").fill_null("")
    piece = pl.concat_str(role, pl.lit(":"), words.str.len_bytes().cast(pl.String), pl.lit(":"), words)
    spoken = words.filter(~pl.col("system"))
    said = batch.turns.group_by("row", maintain_order=True).agg(
        piece.str.join("").alias("said"),
        words.filter((pl.col("canon") == Role.USER.value) & ~pl.col("system")).first().alias("asked"),
        words.filter((pl.col("canon") == Role.ASSISTANT.value) & ~pl.col("system")).last().alias("answered"),
        spoken.len().alias("n"),
    )
    tools = pl.col("tools").fill_null("")
    rows = batch.rows.select("row", tools).join(said, on="row", how="left", maintain_order="left")
    frame = rows.join(media_words(batch), on="row", how="left", maintain_order="left")
    whole = pl.concat_str(tools.str.len_bytes().cast(pl.String), pl.lit(":"), tools, pl.col("said").fill_null(""))
    frame = frame.with_columns(whole.alias("said"), pl.col("media").fill_null(""))
    raw = {row: repr(chunk.part(row - chunk.start, row - chunk.start + 1).raw_rows()[0].value)
           for row in {fault.row for fault in batch.faults}}  # fmt: skip
    everything = [
        f"{text}\0{raw[row]}" if row in raw else text for row, text in frame.select("row", "said").iter_rows()
    ]
    return everything, frame["asked"].to_list(), frame["answered"].to_list(), frame["media"].to_list()


def media_words(batch: Batch) -> pl.DataFrame:
    """The media of each row that has some, in one text; bytes inside the row by their hash."""
    named = batch.media
    bare = named["path"].is_null()
    if bare.any():
        paths = [
            path if path is not None else inside_words(batch, row, kind, slot)
            for row, kind, slot, path in named.select("row", "kind", "slot", "path").iter_rows()
        ]
        named = named.with_columns(pl.Series("path", paths, dtype=pl.String))
    path = pl.col("path")
    piece = pl.concat_str(pl.col("kind"), pl.lit(":"), path.str.len_bytes().cast(pl.String), pl.lit(":"), path)
    return named.group_by("row", maintain_order=True).agg(piece.str.join("").alias("media"))


def inside_words(batch: Batch, row: int, kind: str, slot: int) -> str:
    """What stands for a medium without a path of its own."""
    data = batch.inside.get((row, kind, slot))
    if data is not None:
        return f"\0bytes {blake2b(data).hexdigest()}"
    frames = batch.frames.get((row, slot), ()) if kind == MediaKind.VIDEO.value else ()
    return "\0frames " + "\0".join(frames)
