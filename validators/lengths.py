"""How many rows and supervised tokens each cutoff_len would leave: what a reader may try without a new run."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from validators.replay.budget import RowBudget
from validators.replay.truncate import Masking
from validators.report.shown import Lengths

if TYPE_CHECKING:
    import numpy as np

    Tokens = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

STEPS = 12  # values of cutoff_len tried between a number and its double
LOWEST, HIGHEST = 64, 1 << 17
MOST_LENGTHS = 100_000  # different lengths kept apart; beyond that they are rounded up


def trials(cutoff_len: int) -> tuple[int, ...]:
    """The values of cutoff_len that are tried: steps of a 12th of an octave, and the run's own."""
    doublings = (HIGHEST // LOWEST).bit_length() - 1
    steps = {round(LOWEST * 2 ** (step / STEPS)) for step in range(doublings * STEPS + 1)}
    return tuple(sorted(steps | {cutoff_len}))


@dataclass(slots=True)
class LossCurve:
    """Supervised tokens under each tried cutoff_len, summed while rows pass; `slack` is what packing takes off."""

    masking: Masking
    slack: int
    cutoffs: tuple[int, ...]
    sums: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.sums = [0] * len(self.cutoffs)

    def add(self, budgets: Iterable[RowBudget]) -> None:
        """Count rows whose tokens are exactly known; rows of as many turns go together."""
        known = sorted((budget for budget in budgets if budget.exact), key=lambda budget: len(budget.lengths))
        for _, group in groupby(known, key=lambda budget: len(budget.lengths)):
            self.sums = [before + more for before, more in zip(self.sums, self.supervised(list(group)), strict=True)]

    def supervised(self, budgets: list[RowBudget]) -> list[int]:
        """The sum over some rows under each tried cutoff_len: `truncate`, for all rows and values at once."""
        import numpy as np

        limit = np.maximum(np.array(self.cutoffs, dtype=np.int64) - self.slack, 1)
        lengths = np.array([budget.lengths for budget in budgets], dtype=np.int64)
        lead = np.array([budget.tokens for budget in budgets], dtype=np.int64) - lengths.sum(axis=1)
        total = np.repeat(lead[:, None], len(limit), axis=1)
        sums = np.full_like(total, 1 if self.masking.efficient_eos else 0)
        pairs = range(0, lengths.shape[1], 2)
        for index, number in enumerate(reversed(pairs) if self.masking.mask_history else pairs):
            source, target = lengths[:, number, None], lengths[:, number + 1, None]
            room = np.maximum(limit - total, 0)
            kept_source, kept_target = infer_seqlens(source, target, room)
            total += kept_source + kept_target
            if not (self.masking.mask_history and index):
                sums += kept_target
            if self.masking.train_on_prompt:
                sums += kept_source
            elif self.masking.efficient_eos and index:
                sums += room > 0
        return [int(value) for value in sums.sum(axis=0)]


def infer_seqlens(source: Tokens, target: Tokens, limit: Tokens) -> tuple[Tokens, Tokens]:
    """`infer_seqlen` for arrays: the same arithmetic, rounding included."""
    import numpy as np

    share = (limit * (target / np.maximum(source + target, 1))).astype(np.int64)
    most = np.where(target * 2 < limit, limit, np.where(source * 2 < limit, limit - source, share))
    kept_target = np.minimum(most, target)
    return np.minimum(np.maximum(limit - kept_target, 0), source), kept_target


def lengths_of(totals: array[int], slack: int, curve: LossCurve | None) -> Lengths:
    """Rows by the lowest cutoff_len that leaves them whole; exact unless there are more than MOST_LENGTHS of them."""
    counts = Counter(totals)
    unit = 1
    while len(counts) > MOST_LENGTHS:
        unit *= 2
        rounded: Counter[int] = Counter()
        for length, count in counts.items():
            rounded[-(-length // unit) * unit] += count
        counts = rounded
    rows = tuple((length + slack, counts[length]) for length in sorted(counts))
    return Lengths(rows, unit, () if curve is None else tuple(zip(curve.cutoffs, curve.sums, strict=True)))
