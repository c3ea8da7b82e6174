"""Which rows of a loaded dataset are judged: split, then num_samples and max_samples, cut into batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from validators.sources.batch import Census
from validators.sources.chunks import Chunk
from validators.sources.loading import Loader
from validators.sources.splits import SplitFault, row_ranges, takes_all
from validators.sources.target import DatasetPlan

Interval = tuple[int, int | None]


def batches(loader: Loader, wanted: list[Interval], size: int, census: Census) -> Iterator[Chunk]:
    """Chunks of at most `size` judged rows. The loader reads every file to its end, whatever part is wanted."""
    for chunk in loader.chunks():
        census.loaded += len(chunk)
        if chunk.table is not None:
            for name in chunk.table.column_names:
                census.columns[name] += 0
        for start, stop in wanted:
            first = max(start, chunk.start)
            last = min(stop, chunk.start + len(chunk)) if stop is not None else chunk.start + len(chunk)
            for at in range(first, last, size):
                part = chunk.part(at - chunk.start, min(at + size, last) - chunk.start)
                census.judged.append((part.start, part.start + len(part)))
                yield part
    census.load_faults += loader.faults


def intervals(plan: DatasetPlan, limit: int | None, draw: Callable[[int, int], list[int]]) -> list[Interval]:
    """Disjoint stretches of row numbers in order. A row that is taken twice is judged once."""
    target = plan.num_samples
    if takes_all(plan.parts) and target is None:
        return [(0, limit)]
    total = sum(len(chunk) for chunk in plan.loader().chunks())
    try:
        ranges = row_ranges(plan.parts, total)
    except SplitFault:
        return []
    if target is not None:
        split = list(chain.from_iterable(range(*bounds) for bounds in ranges))
        drawn = draw(len(split), target)[:limit]
        return list(joined((split[position], split[position] + 1) for position in drawn))
    kept: list[tuple[int, int]] = []
    left = total * len(ranges) if limit is None else limit
    for start, stop in ranges:
        end = min(stop, start + left)
        left -= end - start
        kept.append((start, end))
    return list(joined(kept))


def joined(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The stretches in order, those that touch or overlap as one."""
    result: list[tuple[int, int]] = []
    for start, stop in sorted(stretch for stretch in stretches if stretch[0] < stretch[1]):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], stop))
        else:
            result.append((start, stop))
    return result
