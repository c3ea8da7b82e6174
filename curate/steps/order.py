"""Chance that is the same everywhere: rows in the order of a hash of seed and id.

No generator's state, so the order of one row does not depend on the others, and a dataset that grows keeps most of
what was drawn before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


def draw(seed: int, identity: str) -> int:
    """A number from 0 to 2^64 - 1, uniform over ids."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{identity}".encode(), digest_size=8).digest())


def draws(seed: int, identities: Iterable[str]) -> npt.NDArray[np.uint64]:
    """One number an id."""
    return np.fromiter((draw(seed, identity) for identity in identities), np.uint64)
