"""Things that hang together by pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np


class Groups:
    """Numbers from 0, each alone until it is united with another."""

    def __init__(self, size: int) -> None:
        self.parent = list(range(size))

    def root(self, item: int) -> int:
        """The least number of the item's group."""
        while self.parent[item] != item:
            self.parent[item] = self.parent[self.parent[item]]
            item = self.parent[item]
        return item

    def unite(self, one: int, other: int) -> None:
        """Two groups become one."""
        one, other = self.root(one), self.root(other)
        self.parent[max(one, other)] = min(one, other)

    def members(self, fewest: int = 1) -> Mapping[int, list[int]]:
        """All groups of at least so many by their least number, which comes first, each in order."""
        roots = np.fromiter(map(self.root, range(len(self.parent))), np.int64, len(self.parent))
        large = np.bincount(roots)[roots] >= fewest
        groups: dict[int, list[int]] = defaultdict(list)
        for item in np.flatnonzero(large).tolist():
            groups[int(roots[item])].append(item)
        return groups
