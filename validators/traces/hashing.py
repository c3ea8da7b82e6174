"""Columns to 64-bit hashes. They are the same within one run, and mean nothing beyond it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from validators.model import MediaKind, Role
from validators.sources.batch import Batch

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[Any]

ANSWERS = (Role.ASSISTANT.value, Role.FUNCTION.value)
TAGS = [kind.tag for kind in MediaKind]
KINDS = {kind.value: number for number, kind in enumerate(MediaKind)}
TWISTED = r"^/|//|\./|^file:"  # paths that are not compared as they are written


def scrambled(numbers: Numbers) -> Hashes:
    """Numbers spread over all 64 bits (the finaliser of splitmix64)."""
    mixed = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def placed(parts: Hashes, ordinals: Numbers) -> Hashes:
    """Hashes of things at their places: their sum tells another order from this one."""
    return scrambled(parts ^ scrambled(ordinals))


def starts_of(rows: Numbers) -> npt.NDArray[np.intp]:
    """Where each run of equal numbers begins."""
    if not len(rows):
        return np.empty(0, np.intp)
    return np.concatenate([np.zeros(1, np.intp), np.flatnonzero(np.diff(rows)) + 1])


def sums(numbers: Numbers, starts: npt.NDArray[np.intp]) -> Numbers:
    """The sum of each stretch that begins at a start; hashes wrap around."""
    return np.add.reduceat(numbers, starts) if len(starts) else numbers[:0]


def said(turns: pl.DataFrame) -> pl.Series:
    """Each turn's text as it is compared: without media tags, spaces around it, and an answer's last full stop."""
    text = turns["content"].fill_null("")
    if text.str.contains("<", literal=True).any():
        text = text.str.replace_many(TAGS, [""] * len(TAGS))
    text = text.str.strip_chars()
    answered = turns["canon"].is_in(ANSWERS)
    return text.str.strip_suffix(".").zip_with(answered.fill_null(value=False), text)


def talk_hashes(turns: pl.DataFrame, tools: pl.DataFrame) -> pl.DataFrame:
    """Of each row that has turns, in order: row, question (all that is no answer), answer, size (characters of all
    answers).

    turns: as in a Batch. tools: row and the text of its tools, which are part of the question.
    """
    rows = turns["row"].to_numpy()
    starts = starts_of(rows)
    texts = said(turns)
    ordinals = np.arange(len(rows)) - np.repeat(starts, np.diff(np.append(starts, len(rows))))
    parts = placed(texts.hash(1).to_numpy() ^ turns["canon"].fill_null("").hash(2).to_numpy(), ordinals)
    answered = turns["canon"].is_in(ANSWERS).fill_null(value=False).to_numpy()
    nothing = np.uint64(0)
    made = pl.DataFrame(
        {
            "row": pl.Series(rows[starts], dtype=pl.Int64),
            "question": pl.Series(sums(np.where(answered, nothing, parts), starts), dtype=pl.UInt64),
            "answer": pl.Series(sums(np.where(answered, parts, nothing), starts), dtype=pl.UInt64),
            "size": pl.Series(sums(np.where(answered, texts.str.len_chars().to_numpy(), 0), starts), dtype=pl.Int64),
        }
    )
    given = tools.filter(pl.col("tools").is_not_null() & (pl.col("tools") != ""))
    if not len(given):
        return made
    given = given.select("row", pl.col("tools").hash(3).alias("given"))
    made = made.join(given, on="row", how="left", maintain_order="left")
    question = made["question"].to_numpy() ^ made["given"].fill_null(0).to_numpy()
    return made.drop("given").with_columns(pl.Series("question", question))


def media_hashes(batch: Batch, media_dir: Path) -> pl.DataFrame:
    """Each media entry's row, kind (a small number), slot and identity.

    Entries are the same where their paths lead to the same place, or where their bytes in the data are equal.
    """
    media = batch.media
    root = os.path.abspath(media_dir)  # noqa: PTH100 - no links followed
    identity = places(media["path"], root).hash(4).to_numpy().copy()
    for at in np.flatnonzero(media["path"].is_null().to_numpy()):
        row, kind, slot = media.row(int(at))[:3]
        identity[at] = unnamed(batch, row, kind, slot, root)
    kinds = media["kind"].replace_strict(KINDS, return_dtype=pl.UInt8)
    return media.select("row", kinds.alias("kind"), "slot", pl.Series("identity", identity, pl.UInt64))


def unnamed(batch: Batch, row: int, kind: str, slot: int, root: str) -> int:
    """The identity of bytes in the data or of a list of frames; of anything else, one of its own."""
    data, frames = batch.inside.get((row, kind, slot)), batch.frames.get((row, slot))
    if data is not None:
        return int(pl.Series([data], dtype=pl.Binary).hash(5)[0])
    text = "\0".join(resolved(root, frame) for frame in frames) if frames else f"{row}\0{kind}\0{slot}"
    return int(pl.Series([text]).hash(6 if frames else 7)[0])


def places(paths: pl.Series, root: str) -> pl.Series:
    """Where each path leads, as text; only those that need it are taken apart."""
    plain = root.rstrip(os.sep) + os.sep + paths
    twisted = paths.str.contains(TWISTED).fill_null(value=False)
    if not twisted.any():
        return plain
    return plain.scatter(twisted.arg_true(), [resolved(root, path) for path in paths.filter(twisted)])


def resolved(root: str, path: str) -> str:
    """A path from a folder, without what does not change where it leads; links are not followed."""
    return os.path.normpath(os.path.join(root, path.removeprefix("file:")))  # noqa: PTH118 - text, not a file
