"""Which rows of a loaded dataset are judged: split, then max_samples, cut into batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from validators.sources.batch import Census
from validators.sources.chunks import Chunk
from validators.sources.loading import Loader
from validators.sources.splits import SplitFault, SplitPart, row_ranges, takes_all


def batches(
    loader: Loader, parts: tuple[SplitPart, ...], limit: int | None, size: int, census: Census
) -> Iterator[Chunk]:
    """Chunks of at most `size` judged rows. The loader reads every file to its end, whatever part is wanted."""
    wanted = intervals(loader.files, loader.kind, parts, limit)
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


def intervals(
    files: Sequence[Path], kind: str, parts: tuple[SplitPart, ...], limit: int | None
) -> list[tuple[int, int | None]]:
    """Disjoint stretches of row numbers in order. A row that the split names twice is judged once."""
    if takes_all(parts):
        return [(0, limit)]
    counting = Loader(files, kind)
    total = sum(len(chunk) for chunk in counting.chunks())
    try:
        ranges = row_ranges(parts, total)
    except SplitFault:
        return []
    kept: list[tuple[int, int]] = []
    left = total * len(ranges) if limit is None else limit
    for start, stop in ranges:
        end = min(stop, start + left)
        left -= end - start
        if start < end:
            kept.append((start, end))
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(kept):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], stop))
        else:
            joined.append((start, stop))
    return list(joined)
