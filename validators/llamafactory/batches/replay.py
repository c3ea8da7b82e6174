"""Which batches of a run stop it, or train on something else, though each of their rows is well by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from validators.llamafactory.batches.composition import Composition, Kinds
from validators.llamafactory.batches.member import BatchFault, Member, packed
from validators.llamafactory.batches.sampler import Sampling, cut

if TYPE_CHECKING:
    import numpy as np

    Rows = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

Collate = Callable[[Sequence[Member]], BatchFault | None]
"""What a batch of these, in this order, leads to; None where all is well."""
MOST_ROWS = 50_000_000
"""Of all epochs that are replayed, until one has a bad batch."""
MOST_KINDS = 300
"""That are paired with each other where no order is known."""


RowId = tuple[int, int]
"""The place of a row's dataset in the plan, and the row's number there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadBatch:
    """A batch with a fault: its epoch and step, both from 1."""

    epoch: int
    step: int
    members: tuple[Member, ...]
    rows: tuple[tuple[RowId, ...], ...]
    """Of each member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadBatches:
    """All batches of one epoch with one fault."""

    fault: BatchFault
    first: BadBatch
    count: int
    batches: int
    """Batches of the epoch, the good ones included."""
    rows: frozenset[RowId]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReplay:
    """What is known of the batches of a run's training, or of its evaluation."""

    evaluates: bool = False
    """Whether they are those of an evaluation."""
    unknown: str = ""
    """Why the order is not known; "" where it is."""
    bad: tuple[BadBatches, ...] = ()
    """One for each fault, by the step at which it comes first: of the first epoch that has a bad batch."""
    possible: BatchFault | None = None
    """A fault that a batch of these rows would have, whether or not the run has such a batch."""
    pair: tuple[Member, ...] = ()
    """The kinds of two rows that have it together."""
    epochs: int = 0
    """Epochs that were followed."""
    plugins: bool = False
    """Whether the trainer runs with this project's plugins, so that faults which they repair do not come."""

    def repairs(self, fault: BatchFault) -> bool:
        """Whether the run does not come to this fault, for a plugin repairs it."""
        return self.plugins and bool(fault.plugin)


def replayed(
    composition: Composition,
    kinds: Kinds,
    sampling: Sampling,
    collate: Collate,
    identify: Callable[[int], RowId],
    ends: Callable[[BatchFault], bool],
) -> BatchReplay:
    """Follow the run epoch by epoch, up to the first with a bad batch that ends it.

    identify: a row by its number over all datasets. ends: whether the run comes to a fault.
    """
    count = len(composition.kinds)
    epochs = -(-sampling.steps(count) // sampling.updates_of_epoch(count)) if count else 0
    bad: dict[BatchFault, BadBatches] = {}
    for epoch in range(epochs):
        order = sampling.order(count, epoch) if epoch * count < MOST_ROWS else None
        if order is None:
            unknown = f"the epochs after the first {epoch} are not followed"
            return BatchReplay(unknown=unknown, bad=(*bad.values(),), epochs=epoch)
        for found in of_one_epoch(composition, kinds, sampling, collate, identify, order, epoch):
            bad.setdefault(found.fault, found)
        if any(ends(fault) for fault in bad):
            return BatchReplay(bad=(*bad.values(),), epochs=epoch + 1)
    return BatchReplay(bad=(*bad.values(),), epochs=epochs)


def of_one_epoch(
    composition: Composition,
    kinds: Kinds,
    sampling: Sampling,
    collate: Collate,
    identify: Callable[[int], RowId],
    order: Rows,
    epoch: int,
) -> Iterator[BadBatches]:
    """The bad batches of an epoch (from 0), by fault, as far as the run's steps go."""
    count = len(composition.kinds)
    left = sampling.steps(count) - epoch * sampling.updates_of_epoch(count)
    reached = left * sampling.accumulated * sampling.processes
    table, more = cut(order, sampling)
    table, more = table[:reached], more[: max(reached - len(table), 0)]
    found: dict[BatchFault, list[tuple[int, Rows]]] = {}
    for number, sequences in (*suspects(composition, kinds, collate, table), *enumerate(more, len(table))):
        fault = collate([kinds[int(kind)] for kind in composition.kinds[sequences]])
        if fault is not None:
            found.setdefault(fault, []).append((number, sequences))
    for fault, batches in found.items():
        at, sequences = batches[0]
        yield BadBatches(
            fault=fault,
            first=BadBatch(
                epoch=epoch + 1,
                step=sampling.step(count, epoch, at),
                members=tuple(kinds[int(composition.kinds[sequence])] for sequence in sequences),
                rows=tuple(tuple(map(identify, composition.rows_of(sequence))) for sequence in sequences),
            ),
            count=len(batches),
            batches=len(table) + len(more),
            rows=frozenset(identify(row) for _, each in batches for seq in each for row in composition.rows_of(seq)),
        )


def suspects(composition: Composition, kinds: Kinds, collate: Collate, table: Rows) -> Iterator[tuple[int, Rows]]:
    """The bad ones among whole batches, each with its number: batches of the same kinds are asked for once."""
    import numpy as np

    if not len(table):
        return
    of_batch = composition.kinds[table]
    base = len(kinds.members)
    if base ** table.shape[1] < 2**63:
        codes = of_batch @ np.array([base**place for place in range(table.shape[1])], dtype=np.int64)
        _, examples, code = np.unique(codes, return_index=True, return_inverse=True)
    else:
        _, examples, code = np.unique(of_batch, axis=0, return_index=True, return_inverse=True)
    bad = [collate([kinds[int(kind)] for kind in of_batch[example]]) is not None for example in examples]
    for number in np.flatnonzero(np.array(bad)[code.reshape(-1)]).tolist():
        yield number, table[number]


def possible(
    unknown: str, members: Sequence[tuple[Member, int]], size: int, packs: bool, collate: Collate
) -> BatchReplay:
    """Whether a batch could be bad in any order: what two rows do together, more do as well.

    members: kinds of rows, and how many there are of each, of which the first MOST_KINDS are tried. size: of a batch.
    packs: whether rows are packed.
    """
    for (first, count), (second, _) in product(members[:MOST_KINDS], repeat=2):
        if first is second and count == 1:
            continue
        tried = [[first, second]] if size > 1 else []
        tried += [[packed([first, second])]] if packs else []
        for batch in tried:
            fault = collate(batch)
            if fault is not None:
                return BatchReplay(unknown=unknown, possible=fault, pair=(first, second))
    return BatchReplay(unknown=unknown)
