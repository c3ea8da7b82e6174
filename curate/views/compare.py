"""Two datasets: which rows are the same, which are others, and which are one row that was changed."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.views.digests import Digests

if TYPE_CHECKING:
    import numpy as np

    Column = np.ndarray[tuple[int, ...], np.dtype[Any]]
    Numbers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows by their numbers in A and B."""

    rows_a: int
    rows_b: int
    equal: int
    moved: int
    """Equal rows that stand elsewhere among the equal rows: the fewest that must be moved."""
    removed: Numbers
    """In A alone."""
    added: Numbers
    """In B alone."""
    changed: tuple[Numbers, Numbers]
    """Pairs: in A, in B; in the order of B."""

    @property
    def same(self) -> bool:
        """Whether both have the same rows in the same order."""
        return self.equal == self.rows_a == self.rows_b and not self.moved


def compare(a: Digests, b: Digests) -> Comparison:
    """Equal rows by their whole hash, as often as both have them; of the others, those that share what they are from
    and what they ask, then what they ask, then what they are from, then what they answer, are one row, changed."""
    import numpy as np

    equal_a, equal_b = paired(a.wholes(), b.wholes())
    left_a, left_b = others(len(a), equal_a), others(len(b), equal_b)
    changed_a, changed_b = [], []
    for keys_a, keys_b in zip(stages(a), stages(b), strict=True):
        has_a, has_b = left_a[keys_a[left_a] != 0], left_b[keys_b[left_b] != 0]
        at_a, at_b = paired(keys_a[has_a], keys_b[has_b])
        changed_a.append(has_a[at_a])
        changed_b.append(has_b[at_b])
        left_a, left_b = np.setdiff1d(left_a, has_a[at_a]), np.setdiff1d(left_b, has_b[at_b])
    pairs_a, pairs_b = np.concatenate(changed_a), np.concatenate(changed_b)
    order = np.argsort(pairs_b)
    return Comparison(
        len(a),
        len(b),
        len(equal_a),
        moved(equal_b[np.argsort(equal_a)]),
        left_a,
        left_b,
        (pairs_a[order], pairs_b[order]),
    )


def stages(digests: Digests) -> Iterator[Column]:
    """The keys by which a changed row is known again, the surest first; 0 for none."""
    import numpy as np

    place, asked, answered = digests.parts()
    both = place * np.uint64(0x9E3779B97F4A7C15) ^ asked
    yield np.where((place != 0) & (asked != 0), both, np.uint64(0))
    yield asked
    yield place
    yield answered


def paired(a: Column, b: Column) -> tuple[Numbers, Numbers]:
    """Positions of equal keys: the first in A with the first in B, the second with the second, and so on."""
    import numpy as np

    _, numbers = np.unique(np.concatenate([a, b]), return_inverse=True)
    count = np.int64(len(a) + len(b) + 1)
    in_a, in_b = (part.astype(np.int64) * count + occurrences(part) for part in (numbers[: len(a)], numbers[len(a) :]))
    _, at_a, at_b = np.intersect1d(in_a, in_b, assume_unique=True, return_indices=True)
    return at_a, at_b


def occurrences(keys: Column) -> Numbers:
    """For each key, how often it stands before."""
    import numpy as np

    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(keys) else np.zeros(0, dtype=np.int64)
    lengths = np.diff(np.r_[begins, len(keys)])
    result = np.empty(len(keys), dtype=np.int64)
    result[order] = np.arange(len(keys)) - np.repeat(begins, lengths)
    return result


def others(count: int, known: Numbers) -> Numbers:
    """The numbers below `count` that are not known."""
    import numpy as np

    rest = np.ones(count, dtype=bool)
    rest[known] = False
    return np.flatnonzero(rest)


def moved(numbers: Numbers) -> int:
    """How many of these must be taken out for the rest to rise."""
    import numpy as np

    if len(numbers) < 2 or bool(np.all(np.diff(numbers) > 0)):
        return 0
    ends = array("q")  # the lowest last number of a rising sequence of each length
    for number in numbers.tolist():
        at = bisect_left(ends, number)
        ends[at : at + 1] = array("q", [number])
    return len(numbers) - len(ends)
