"""`split`: parts that share no medium and no text, of the same mixture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.steps.columns import with_columns
from curate.steps.groups import Groups
from curate.steps.order import draw, draws
from curate.steps.step import Again, Chosen, Surroundings

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

    def traces(self, rows: pl.DataFrame, around: Surroundings) -> pl.DataFrame:
        """Of each row hashes of its text and media, and its stratum."""
        wanted = ["media", "text", *([self.stratify] if self.stratify else [])]
        stratum = pl.col(self.stratify) if self.stratify else pl.lit(None)
        # seeds of their own: a text may be a path
        shown, said = pl.col("media").list.eval(pl.element().hash(1)), pl.col("text").hash(2)
        return with_columns(rows, wanted, around).select("row", "id", keys=pl.concat_list(shown, said), stratum=stratum)

    def compare(self, traces: pl.DataFrame, again: Again, around: Surroundings) -> Chosen:
        """Every row goes to one part, in the order in which it came."""
        groups = grouped(traces["keys"])
        part = pl.Series(assign(groups, traces["stratum"], traces["id"], dict(self.shares), self.seed))
        return Chosen({name: traces["row"].filter(part == number) for number, name in enumerate(self.parts)})

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of all parts, the rest first."""
        return (REST, *(name for name, _ in self.shares))


def grouped(keys: pl.Series) -> list[list[int]]:
    """Positions that hang together by a key (keys: a list a position): groups of two or more, each in order, by their
    first member."""
    owners = np.repeat(np.arange(len(keys)), keys.list.len().to_numpy())
    values = keys.explode().to_numpy()
    order = np.argsort(values, kind="stable")
    same = np.flatnonzero(values[order[1:]] == values[order[:-1]])
    groups = Groups(len(keys))
    for one, other in zip(owners[order[same]].tolist(), owners[order[same + 1]].tolist(), strict=True):
        groups.unite(one, other)
    return list(groups.members(fewest=2).values())


def assign(
    groups: Sequence[Sequence[int]],
    strata: pl.Series,
    identities: pl.Series,
    shares: Mapping[str, float],
    seed: int,
) -> npt.NDArray[np.uint16]:
    """The part of each position, 0 for the rest: large groups first, each to the part that lacks most of its stratum.

    A group goes to a part only if it fits what the part still lacks, to within half the group; the rest takes it
    otherwise. Equal groups are drawn by seed and ids, so that the order of rows does not matter. Positions in none of
    the groups are groups of one.
    """
    names: dict[Hashable, int] = {}
    stratum_of = np.fromiter((names.setdefault(each, len(names)) for each in strata), np.uint32)
    texts = [str(each) for each in names]
    sizes = np.bincount(stratum_of, minlength=len(names))
    parts = {name: number for number, name in enumerate(shares, 1)}
    lacking = {(name, at): share * int(size) for name, share in shares.items() for at, size in enumerate(sizes)}
    owner = np.zeros(len(identities), np.uint16)
    alone = np.ones(len(identities), bool)
    lots = [(-len(group), draw(seed, min(identities[item] for item in group)), group) for group in groups]
    for _, _, group in sorted(lots, key=lambda lot: lot[:2]):
        alone[group] = False
        members = Counter(stratum_of[group].tolist())
        stratum = max(members, key=lambda each: (members[each], texts[each]))
        name = max(shares, key=lambda each: (lacking[each, stratum], each))
        if lacking[name, stratum] >= len(group) / 2:
            owner[group] = parts[name]
            for each, count in members.items():
                lacking[name, each] -= count
    single = np.flatnonzero(alone)
    drawn = single[np.argsort(draws(seed, identities.gather(single)), kind="stable")]
    for stratum in range(len(names)):
        for item in drawn[stratum_of[drawn] == stratum].tolist():
            name = max(shares, key=lambda each: (lacking[each, stratum], each))
            if lacking[name, stratum] < 1 / 2:
                break
            owner[item] = parts[name]
            lacking[name, stratum] -= 1
    return owner
