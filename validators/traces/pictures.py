"""Pictures by what they show: small grey copies, and the pairs of them that are nearly the same.

Two pictures are alike when their copies of SIDE × SIDE correlate, each without its mean and its even slope: a new size,
a new compression, another brightness leave that as it is. Pages and screens of one layout correlate, too; so where
pictures have details half as large, most of these must agree. Candidates are found by the signs of random projections
(M. Charikar, Similarity estimation techniques from rounding algorithms, 2002), and each is then compared in full.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from validators.probes.image import SHELLED
from validators.traces.hashing import Numbers
from validators.traces.pairs import pairs_in

SIDE = 16
MAX_PIXELS = 1 << 26  # decoded at most; a JPEG is decoded at an eighth of its size
FLAT = 3.0  # grey levels: copies that vary less, but for a slope, say nothing of what they show
BANDS, BITS = 40, 24  # a pair of likeness 0.98 shares a band but once in 10,000 times; one of 0.95 in 24 of 25
SEED = 7

DETAIL = 4  # grey levels by which half a copy's pixel differs from the whole to be a detail
FEWEST = 32  # details that two pictures have in the same places, below which they prove nothing
AGREEING = 0.95  # of these, that are bright in both or dark in both; other sizes and compressions leave 0.97

COARSE = SIDE * SIDE
FINE = (2 * SIDE) ** 2 // 8
ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)
Copies = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]
Pair = tuple[int, int, float]


def copy_of(source: Path | bytes) -> Copies | None:
    """The picture's copy: COARSE grey pixels, FINE bytes that say where details are bright, FINE where they are dark.

    None where the picture cannot be read, or has too many pixels.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                if image.format == SHELLED:
                    return None
                image.draft("L", (SIDE * 8, SIDE * 8))
                if image.width * image.height > MAX_PIXELS:
                    return None
                grey: Any = image.convert("L").resize((2 * SIDE, 2 * SIDE), Image.Resampling.BOX)
                return packed(np.asarray(grey, dtype=np.float32))
    except Exception:  # Pillow's decoders raise what they like; the rules on images say so
        return None


def packed(grey: Vectors) -> Copies:
    """The copy of a picture of 2 SIDE × 2 SIDE."""
    coarse = grey.reshape(SIDE, 2, SIDE, 2).mean(axis=(1, 3))
    details = grey - coarse.repeat(2, axis=0).repeat(2, axis=1)
    planes = (np.packbits(details > DETAIL), np.packbits(details < -DETAIL))
    return np.concatenate([coarse.round().astype(np.uint8).ravel(), *planes])


def agree(left: Copies, right: Copies) -> npt.NDArray[np.bool_]:
    """Whether the details of pictures do not speak against their being alike, pair by pair."""
    bright, dark = (slice(COARSE + FINE * plane, COARSE + FINE * (plane + 1)) for plane in (0, 1))
    same = left[:, bright] & right[:, bright] | left[:, dark] & right[:, dark]
    other = left[:, bright] & right[:, dark] | left[:, dark] & right[:, bright]
    agreeing, against = ONES[same].sum(axis=1, dtype=np.int32), ONES[other].sum(axis=1, dtype=np.int32)
    counted = agreeing + against
    return np.asarray((agreeing >= AGREEING * counted) | (counted < FEWEST), dtype=bool)


def vectors(copies: Copies) -> tuple[Numbers, Vectors]:
    """The copies that show something, by number, as vectors of length 1."""
    flat = copies[:, :COARSE].astype(np.float32)
    steps = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2
    across, down = np.tile(steps, SIDE), np.repeat(steps, SIDE)
    flat -= flat.mean(axis=1, keepdims=True)
    for slope in (across, down):
        flat -= np.outer(flat @ slope / (slope @ slope), slope)
    lengths = np.linalg.norm(flat, axis=1)
    shown = np.flatnonzero(lengths > FLAT * SIDE)
    return shown, flat[shown] / lengths[shown, None]


def near(copies: Copies, likeness: float) -> Iterator[Pair]:
    """Pairs of pictures, by number, the first before the second, with their likeness; of a crowd of like pictures not
    every pair."""
    shown, units = vectors(copies)
    known: set[tuple[int, int]] = set()
    for left, right in candidates(units):
        for at in range(0, len(left), 1 << 16):
            first, second = left[at : at + (1 << 16)], right[at : at + (1 << 16)]
            found = np.einsum("ij,ij->i", units[first], units[second])
            likely = np.flatnonzero(found >= likeness)
            likely = likely[agree(copies[shown[first[likely]]], copies[shown[second[likely]]])]
            for number in likely:
                pair = int(shown[first[number]]), int(shown[second[number]])
                if pair not in known:
                    known.add(pair)
                    yield *pair, min(float(found[number]), 1.0)


def candidates(units: Vectors) -> Iterator[tuple[Numbers, Numbers]]:
    """Pairs that agree in a band of signs, band by band."""
    planes = np.random.default_rng(SEED).standard_normal((units.shape[1], BANDS * BITS), dtype=np.float32)
    weights = 1 << np.arange(BITS, dtype=np.int64)
    keys = np.empty((BANDS, len(units)), np.int32)
    for at in range(0, len(units), 4096):
        signs = (units[at : at + 4096] @ planes > 0).reshape(-1, BANDS, BITS)
        keys[:, at : at + 4096] = (signs @ weights).T
    for band in keys:
        yield pairs_in(band)
