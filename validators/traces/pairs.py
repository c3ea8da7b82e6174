"""Pairs of things with equal keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from validators.traces.hashing import Hashes, Numbers, scrambled

CROWD = 16
"""How many that follow it each member of a group is paired with, beside the group's first."""


def stepped(keys: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Pairs of numbers with the same key, the smaller number first, each pair once, some at a time: no more than there
    are numbers. All pairs of a group of up to CROWD; of a larger one each member with the first, and with those next
    to it."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    begins = np.concatenate([np.ones(1, bool), np.diff(ranked) != 0]) if len(ranked) else np.empty(0, bool)
    starts = np.flatnonzero(begins)
    firsts = starts[np.cumsum(begins) - 1] if len(ranked) else starts
    far = np.flatnonzero(np.arange(len(ranked)) - firsts > CROWD)
    yield order[firsts[far]], order[far]
    for step in range(1, min(CROWD, len(ranked) - 1) + 1):
        same = np.flatnonzero(ranked[step:] == ranked[:-step])
        if not len(same):
            break
        yield order[same], order[same + step]


def pairs_in(keys: Numbers) -> tuple[Numbers, Numbers]:
    """The pairs of `stepped`, all at once."""
    left, right = zip(*stepped(keys), strict=True)
    return np.concatenate(left), np.concatenate(right)


def banded(
    keys: Numbers, scope: Hashes, likely: Callable[[Numbers, Numbers], npt.NDArray[np.bool_]]
) -> tuple[Numbers, Numbers]:
    """Pairs of lines that have a key in common in one of the columns, within a scope, and are `likely`; the smaller
    number first, in order, each pair once.

    likely: which of some pairs to keep. Texts of one pattern share a key by the thousand: pairs that are not likely are
    let go of before the next are looked for.
    """
    codes = np.empty(0, np.int64)
    for band in range(keys.shape[1] if len(keys) else 0):
        found = [codes]
        for left, right in stepped(scrambled(keys[:, band]) ^ scope):
            kept = likely(left, right)
            found.append(left[kept] * len(keys) + right[kept])
        # column by column: pairs that have all keys in common would be held as often as there are keys
        codes = np.unique(np.concatenate(found))
    left, right = np.divmod(codes, max(1, len(keys)))
    return left, right
