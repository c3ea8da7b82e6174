"""`split`: parts that share no medium and no text, of the same mixture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from curate.steps.groups import Groups
from curate.steps.order import draw
from curate.steps.step import Chosen, Surroundings

REST = ""
"""The part that takes what no other does: the dataset itself."""


@dataclass(frozen=True, slots=True)
class Split:
    """Parts beside the rest, by name and share; strata are the values of a column.

    Rows that share a medium, or their whole text, are one group and stay together.
    """

    shares: tuple[tuple[str, float], ...]
    stratify: str | None = None
    seed: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Media and text make the groups."""
        return ("media", "text", *([self.stratify] if self.stratify else []))

    def choose(self, rows: pl.DataFrame, around: Surroundings) -> Chosen:
        """Every row goes to one part, in the order in which it came."""
        strata = rows[self.stratify].to_list() if self.stratify else [None] * len(rows)
        groups = grouped(rows["media"].to_list(), rows["text"].hash().to_list())
        part = assign(groups, strata, rows["id"].to_list(), dict(self.shares), self.seed)
        numbered = rows.select("row", part=pl.Series(part, dtype=pl.String))
        names = [REST, *(name for name, _ in self.shares)]
        return Chosen({name: numbered.filter(pl.col("part") == name)["row"] for name in names})


def grouped(media: Sequence[Iterable[str]], texts: Sequence[int]) -> list[list[int]]:
    """Positions that hang together by a medium or by their text, each group in order, by their first member."""
    groups = Groups(len(media))
    first: dict[Hashable, int] = {}
    for position, (paths, text) in enumerate(zip(media, texts, strict=True)):
        for key in (*paths, text):
            groups.unite(first.setdefault(key, position), position)
    return list(groups.members().values())


def assign(
    groups: Sequence[Sequence[int]],
    strata: Sequence[Hashable],
    identities: Sequence[str],
    shares: Mapping[str, float],
    seed: int,
) -> list[str]:
    """The part of each position: large groups first, each to the part that lacks most of its stratum.

    A group goes to a part only if it fits what the part still lacks, to within half the group; the rest takes it
    otherwise. Equal groups are drawn by seed and ids, so that the order of rows does not matter.
    """
    sizes = Counter(strata)
    lacking = {(name, stratum): share * size for name, share in shares.items() for stratum, size in sizes.items()}
    owner = [REST] * len(identities)
    lots = [(-len(group), draw(seed, min(identities[item] for item in group)), group) for group in groups]
    for _, _, group in sorted(lots, key=lambda lot: lot[:2]):
        members = Counter(strata[item] for item in group)
        stratum = max(members, key=lambda each: (members[each], str(each)))
        name = max(shares, key=lambda each: (lacking[each, stratum], each))
        if lacking[name, stratum] >= len(group) / 2:
            for item in group:
                owner[item] = name
                lacking[name, strata[item]] -= 1
    return owner
