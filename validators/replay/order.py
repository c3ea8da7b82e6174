"""Which rows one epoch trains on, in the order in which they are preprocessed, and how they are packed.

Sources: llamafactory 0.9.5, data/data_utils.py: merge_dataset and split_dataset, data/processor/supervised.py:
PackedSupervisedDatasetProcessor, processor_utils.py: greedy_knapsack; datasets 4.0.0, arrow_dataset.py:
_interleave_map_style_datasets, train_test_split, map and shard.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from validators.replay.mixing import STRATEGY, shares_of

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

DRAWN_AT_ONCE = 1000
PACK_LOT = 1000


def merged(sizes: Sequence[int], raw: Mapping[str, object], seed: int) -> Numbers | None:
    """The rows of all datasets as the trainer merges them, each by its number in their concatenation; None where the
    merge fails.

    sizes: rows of each dataset. raw: the train yaml's keys.
    """
    import numpy as np

    strategy = raw.get("mix_strategy", STRATEGY)
    if len(sizes) == 1 or strategy == STRATEGY:
        return np.arange(sum(sizes), dtype=np.int64)
    if strategy not in ("interleave_under", "interleave_over") or not all(sizes):
        return None
    over = strategy == "interleave_over"
    offsets = np.cumsum([0, *sizes[:-1]])
    given = raw.get("interleave_probs")
    if given is None:
        rounds = np.arange(max(sizes) if over else min(sizes), dtype=np.int64).reshape(-1, 1)
        return np.asarray((rounds % np.array(sizes).reshape(1, -1) + offsets).flatten(), dtype=np.int64)
    shares = shares_of(given)
    if shares is None or len(shares) != len(sizes):
        return None
    return np.fromiter(drawn_rows(sizes, offsets.tolist(), shares, over, seed), dtype=np.int64)


def drawn_rows(
    sizes: Sequence[int], offsets: Sequence[int], shares: Sequence[float], over: bool, seed: int
) -> Iterator[int]:
    """Rows as they are drawn with probabilities, until one dataset has run out, or each has where `over`."""
    import numpy as np

    random = np.random.default_rng(seed)
    at = [0] * len(sizes)
    out = [False] * len(sizes)
    ends = all if over else any
    while True:
        for source in random.choice(len(sizes), size=DRAWN_AT_ONCE, p=list(shares)).tolist():
            if ends(out):
                return
            yield offsets[source] + at[source]
            at[source] += 1
            if at[source] >= sizes[source]:
                out[source], at[source] = True, 0


def validation_rows(size: float, rows: int) -> int:
    """How many of these rows val_size takes."""
    if size <= 1e-6 or not math.isfinite(size):
        return 0
    return int(size) if size > 1 or isinstance(size, int) else math.ceil(size * rows)


def trained(order: Numbers, val_size: float, seed: int) -> Numbers:
    """What is left of the rows to train on when val_size has taken its part, in its new order."""
    return split(order, val_size, seed)[1]


def split(order: Numbers, val_size: float, seed: int) -> tuple[Numbers, Numbers]:
    """What val_size takes of the rows, and what is left to train on, each in its new order."""
    import numpy as np

    held_out = validation_rows(val_size, len(order))
    if not held_out:
        return order[:0], order
    order = order[np.random.default_rng(seed).permutation(len(order))]
    return order[:held_out], order[held_out:]


def packs(lengths: Sequence[int], capacity: int, lot: int, workers: int) -> Iterator[list[int]]:
    """The rows of each packed sequence, by their places in `lengths`, in the order in which they are packed.

    lengths: of the rows in order, in tokens, 0 for a row that is dropped. capacity: of one sequence. lot:
    preprocessing_batch_size. workers: preprocessing_num_workers, which share the rows as one stretch each.
    """
    shards = max(min(workers, len(lengths)), 1)
    each, more = divmod(len(lengths), shards)
    start = 0
    for shard in range(shards):
        stop = start + each + (shard < more)
        for at in range(start, stop, lot):
            known = [row for row in range(at, min(at + lot, stop)) if 0 < lengths[row] <= capacity]
            of_length: dict[int, list[int]] = {}
            for row in known:
                of_length.setdefault(lengths[row], []).append(row)
            for sack in knapsacks(sorted(lengths[row] for row in known), capacity):
                yield [of_length[length].pop() for length in sack]  # of rows as long, the last comes first
        start = stop


def knapsacks(lengths: list[int], capacity: int) -> Iterator[list[int]]:
    """The lengths in each sack; `lengths`, sorted, is used up: always the longest row that still fits."""
    while lengths:
        room = capacity
        sack = []
        while (index := bisect.bisect(lengths, room)) > 0:
            sack.append(lengths.pop(index - 1))
            room -= sack[-1]
        yield sack
