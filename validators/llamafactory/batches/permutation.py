"""The order that torch.randperm gives, without torch.

Sources: torch 2.11, aten/src/ATen/native/TensorFactories.cpp: randperm_cpu (below 2^32 / 20 numbers: a Fisher-Yates
shuffle from the front, the remainder of one 32-bit draw each) and ATen/CPUGeneratorImpl.cpp (mt19937, whose state is
made of the low 32 bits of the seed as init_genrand makes it: what numpy calls legacy seeding).
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Order = np.ndarray[tuple[int, ...], np.dtype[np.int32]]

MOST = (2**32 - 1) // 20
"""From so many numbers on, torch takes 64-bit draws."""
DRAWN_AT_ONCE = 1 << 20


def permutation(count: int, seed: int) -> Order | None:
    """torch.randperm(count, generator=torch.Generator().manual_seed(seed)), int32 (count,); None beyond MOST."""
    import numpy as np

    if count >= MOST:
        return None
    generator = np.random.MT19937()
    generator._legacy_seeding(seed & 0xFFFFFFFF)  # numpy's RandomState seeds so, too
    order = array("i", range(count))
    for start in range(0, count - 1, DRAWN_AT_ONCE):
        stop = min(start + DRAWN_AT_ONCE, count - 1)
        left = np.arange(count - start, count - stop, -1, dtype=np.uint64)
        for at, ahead in enumerate((generator.random_raw(stop - start) % left).tolist(), start):
            order[at], order[at + ahead] = order[at + ahead], order[at]
    return np.frombuffer(order, dtype=np.int32) if count else np.zeros(0, dtype=np.int32)
