"""Texts as sets of short strings: MinHash keys of many texts at once, and the true likeness of two.

A. Broder, On the resemblance and containment of documents, 1997. A key covers ROWS of the BANDS × ROWS least hashes:
two texts of likeness 0.8 share one of their keys but once in 4,000 times, two of 0.7 in 98.7 % of the cases.
"""

from __future__ import annotations

from math import comb

import numpy as np
import numpy.typing as npt
import polars as pl

from validators.traces.hashing import ANSWERS, Hashes, Numbers, said, scrambled

SIZE = 5  # characters of a shingle: words would not do for scripts without spaces
BANDS, ROWS = 16, 4
SHORTEST = 80  # characters: shorter texts are alike by chance
SEED = 11
STEP = 1 << 18  # shingles hashed at a time
STRETCH = 1 << 18  # pairs whose keys are compared at a time
LOST = 1e-3  # share of pairs that may be missed for having too few keys in common

Keys = npt.NDArray[np.uint32]
MULTIPLIERS = np.random.default_rng(SEED).integers(1, 1 << 32, BANDS * ROWS, np.uint32) | np.uint32(1)


def talks(turns: pl.DataFrame) -> pl.DataFrame:
    """Each row's text: row, text (all turns but the system prompt) and answers."""
    spoken = turns.with_columns(said(turns).alias("content")).filter(pl.col("pos") >= 0)
    answered = pl.col("canon").is_in(ANSWERS)
    return spoken.group_by("row", maintain_order=True).agg(
        pl.col("content").str.join("\n").alias("text"),
        pl.col("content").filter(answered).str.join("\n").alias("answers"),
    )


def min_keys(texts: pl.Series) -> Keys:
    """BANDS keys for each text; texts are at least SHORTEST characters long."""
    codes = [np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32) for text in texts]
    lengths = np.array([len(each) for each in codes])
    keys = np.empty((len(codes), BANDS), np.uint32)
    first = 0
    while first < len(codes):
        last = first + max(1, int(np.searchsorted(np.cumsum(lengths[first:]), STEP)))
        keys[first:last] = keys_of(np.concatenate(codes[first:last]), lengths[first:last])
        first = last
    return keys


def keys_of(codes: Numbers, lengths: Numbers) -> Keys:
    """The same of texts that are joined."""
    wide = codes.astype(np.uint64)
    whole: Hashes = np.zeros(len(wide) - SIZE + 1, np.uint64)
    for offset in range(SIZE):
        whole = whole * np.uint64(0x100000001B3) + wide[offset : offset + len(whole)]
    starts = np.cumsum(lengths) - lengths
    inside = np.ones(len(whole), bool)
    for back in range(1, SIZE):  # shingles that run into the next text
        inside[starts[1:] - back] = False
    hashed = (scrambled(whole) >> np.uint64(32)).astype(np.uint32)[inside]
    starts -= np.arange(len(starts)) * (SIZE - 1)
    least = np.empty((len(MULTIPLIERS), len(starts)), np.uint32)
    for number, multiplier in enumerate(MULTIPLIERS):
        mixed = hashed * multiplier
        least[number] = np.minimum.reduceat(mixed ^ (mixed >> np.uint32(15)), starts)
    banded = least.reshape(BANDS, ROWS, -1).astype(np.uint64)
    whole = banded[:, 0]
    for row in range(1, ROWS):
        whole = scrambled(whole) ^ banded[:, row]
    return (scrambled(whole) >> np.uint64(32)).astype(np.uint32).T


def answer_keys(answers: pl.Series) -> Keys:
    """Keys of answers; short ones have keys in common only if they are equal."""
    keys = np.repeat(answers.hash(4).to_numpy().astype(np.uint32)[:, None], BANDS, axis=1)
    long = (answers.str.len_chars() >= SHORTEST).to_numpy()
    keys[long] = min_keys(answers.filter(pl.Series(long)))
    return keys


def in_common(keys: Keys, left: Numbers, right: Numbers, text: float) -> npt.NDArray[np.bool_]:
    """Which pairs have as many keys in common as texts of a likeness have."""
    least = fewest(text)
    parts = [np.empty(0, bool)]
    for at in range(0, len(left), STRETCH):
        same = keys[left[at : at + STRETCH]] == keys[right[at : at + STRETCH]]
        parts.append(same.sum(axis=1) >= least)
    return np.concatenate(parts)


def likely(keys: Keys, answers: Keys, text: float, left: Numbers, right: Numbers) -> npt.NDArray[np.bool_]:
    """Which pairs may be of a likeness. A long question that all rows ask makes every two of them candidates; their
    answers tell most apart."""
    kept = in_common(answers, left, right, text)
    kept[kept] = in_common(keys, left[kept], right[kept], text)
    return kept


def fewest(text: float) -> int:
    """How many keys two texts of this likeness have in common, all but the share LOST of them."""
    chance = text**ROWS
    missed, number = 0.0, -1
    while missed <= LOST:
        number += 1
        missed += comb(BANDS, number) * chance**number * (1 - chance) ** (BANDS - number)
    return max(1, number)


def likeness(left: str, right: str) -> float:
    """The share of shingles that two texts have in common (Jaccard)."""
    if left == right:
        return 1.0
    one, other = shingles(left), shingles(right)
    return len(one & other) / len(one | other)


def shingles(text: str) -> frozenset[str]:
    """The text's shingles; a text that is shorter than one is its own."""
    return frozenset(text[at : at + SIZE] for at in range(max(1, len(text) - SIZE + 1)))
