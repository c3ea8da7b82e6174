"""Pairs of things with equal keys."""

from __future__ import annotations

import numpy as np

from validators.traces.hashing import Hashes, Numbers, scrambled

CROWD = 16
"""How many that follow it each member of a group is paired with, beside the group's first."""


def pairs_in(keys: Numbers) -> tuple[Numbers, Numbers]:
    """Pairs of numbers with the same key, the smaller number first, each pair once. All pairs of a group of up to
    CROWD; of a larger one each member with the first, and with those next to it."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    begins = np.concatenate([np.ones(1, bool), np.diff(ranked) != 0]) if len(ranked) else np.empty(0, bool)
    starts = np.flatnonzero(begins)
    firsts = starts[np.cumsum(begins) - 1] if len(ranked) else starts
    far = np.flatnonzero(np.arange(len(ranked)) - firsts > CROWD)
    left, right = [order[firsts[far]]], [order[far]]
    for step in range(1, min(CROWD, len(ranked) - 1) + 1):
        same = np.flatnonzero(ranked[step:] == ranked[:-step])
        if not len(same):
            break
        left.append(order[same])
        right.append(order[same + step])
    return np.concatenate(left), np.concatenate(right)


def banded(keys: Numbers, scope: Hashes) -> tuple[Numbers, Numbers]:
    """Pairs of lines that have a key in common in one of the columns, within a scope; the smaller number first, in
    order, each pair once."""
    codes = np.empty(0, np.int64)
    for band in range(keys.shape[1] if len(keys) else 0):
        left, right = pairs_in(scrambled(keys[:, band]) ^ scope)
        # column by column: pairs that have all keys in common would be held as often as there are keys
        codes = np.union1d(codes, left * len(keys) + right)
    left, right = np.divmod(codes, max(1, len(keys)))
    return left, right
