"""The sequences of a run's training dataset, in its order: which rows each is made of.

Sources: llamafactory 0.9.5, data/loader.py: get_dataset (datasets are merged, a part is held out, and only then rows
are dropped or packed), data/processor/supervised.py: PackedSupervisedDatasetProcessor.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from validators.llamafactory.batches.member import Member, packed
from validators.replay.arguments import Arguments
from validators.replay.order import PACK_LOT, merged, packs, split

if TYPE_CHECKING:
    import numpy as np

    Rows = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

ABSENT = 0
"""The kind of a row that does not come into the trainer's dataset."""


class Part(Enum):
    """Which rows a dataset of the trainer takes of those that are merged."""

    WHOLE = 1
    HELD_OUT = 2
    """What val_size takes, to evaluate with."""
    LEFT = 3
    """What it leaves to train on."""


@dataclass(slots=True)
class Kinds:
    """Distinct members by number; 0 stands for none."""

    members: list[Member | None] = field(default_factory=lambda: [None])
    numbers: dict[Member, int] = field(default_factory=dict)

    def number(self, member: Member) -> int:
        """The member's number, a new one where it is new."""
        known = self.numbers.get(member)
        if known is None:
            known = self.numbers[member] = len(self.members)
            self.members.append(member)
        return known

    def __getitem__(self, number: int) -> Member:
        member = self.members[number]
        assert member is not None
        return member


@dataclass(slots=True)
class RowKinds:
    """One dataset's rows in the order in which they are loaded: the kind of each, and its tokens where rows are packed
    (0 where they are not known)."""

    kinds: array[int] = field(default_factory=lambda: array("I"))
    tokens: array[int] = field(default_factory=lambda: array("I"))


@dataclass(frozen=True, slots=True)
class Composition:
    """Sequences in the order of the trainer's dataset: the kind of each, and its rows by their number over all
    datasets; without packing a row each."""

    kinds: Rows
    first: Rows
    """Where a sequence's rows begin in `rows`; one more at the end."""
    rows: Rows

    def rows_of(self, sequence: int) -> list[int]:
        """The rows of one sequence."""
        found: list[int] = self.rows[self.first[sequence] : self.first[sequence + 1]].tolist()
        return found


def compose(
    datasets: Sequence[RowKinds], kinds: Kinds, arguments: Arguments, capacity: int, part: Part = Part.LEFT
) -> Composition | str:
    """What the trainer's dataset is made of; in words why that is not known.

    datasets: in the order of the yaml. capacity: tokens of a pack, 0 where rows are not packed. part: of the rows.
    """
    import numpy as np

    sizes = [len(dataset.kinds) for dataset in datasets]
    seed = arguments.whole("seed", 42, 0)
    order = merged(sizes, arguments.raw, seed) if sum(sizes) else None
    if order is None:
        return "the datasets cannot be merged in this way" if sum(sizes) else "no row was read"
    if part is not Part.WHOLE:
        held_out, left = split(order, arguments.number("val_size") or 0, seed)
        order = left if part is Part.LEFT else held_out
    of_row = np.concatenate([np.frombuffer(dataset.kinds, dtype=np.uint32) for dataset in datasets if dataset.kinds])
    present = order[of_row[order] != ABSENT]
    if not capacity:
        return Composition(of_row[present].astype(np.int64), np.arange(len(present) + 1), present)
    tokens = np.concatenate([np.frombuffer(dataset.tokens, dtype=np.uint32) for dataset in datasets if dataset.tokens])
    if not tokens[present].all():
        return "packing: the lengths of some rows are not known"
    lengths = np.where(of_row[order] == ABSENT, 0, tokens[order]).tolist()
    lot = arguments.whole("preprocessing_batch_size", PACK_LOT)
    found = list(packs(lengths, capacity, lot, arguments.whole("preprocessing_num_workers", 1)))
    numbers = [kinds.number(packed([kinds[int(of_row[order[at]])] for at in pack])) for pack in found]
    first = np.cumsum([0, *(len(pack) for pack in found)])
    rows = order[[at for pack in found for at in pack]] if found else order[:0]
    return Composition(np.array(numbers, dtype=np.int64), first, rows)
