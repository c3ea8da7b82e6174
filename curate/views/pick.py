"""Which rows of a dataset are looked at: found by number, id, text or chance, without judging any other."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from curate.writers.built import sha256_of
from validators.errors import UsageFault
from validators.sources.batch import Census
from validators.sources.chunks import Chunk
from validators.sources.flatten import flatten
from validators.sources.target import DatasetPlan, manifest_of, mapping


@dataclass(frozen=True, slots=True)
class Choice:
    """What the command line asks for; rows that fit all of it, at most `most`, or `sample` of them by chance."""

    rows: frozenset[int] = frozenset()
    """Numbers from 0 over the dataset's files; empty for any."""
    ids: frozenset[str] = frozenset()
    """Values under `id`, or the ids that a build gave; empty for any."""
    text: str = ""
    """What stands in a message, a media path or the tools, whatever the case; "" for anything."""
    sample: int | None = None
    seed: int = 0
    most: int = 5


def picked(datasets: Iterable[DatasetPlan], choice: Choice) -> Iterator[tuple[DatasetPlan, Chunk]]:
    """The chosen rows, each as a chunk of its own, in the order of the datasets."""
    found = ((dataset, chunk) for dataset in datasets for chunk in fitting(dataset, choice))
    if choice.sample is None:
        yield from islice(found, choice.most)
        return
    # numbers alone are kept: rows are read again, so that memory holds none but the chosen ones
    numbers = [(at, number) for at, dataset in enumerate(datasets) for number in numbers_of(dataset, choice)]
    drawn = random.Random(choice.seed).sample(numbers, min(choice.sample, len(numbers)))
    for at, dataset in enumerate(datasets):
        for chunk in numbered(dataset, {number for place, number in drawn if place == at}):
            yield dataset, chunk


def fitting(dataset: DatasetPlan, choice: Choice) -> Iterator[Chunk]:
    """One dataset's rows that fit, each as a chunk; a number beyond its end is a UsageFault."""
    numbers: Set[int] | None = choice.rows or None
    if choice.ids:
        known = ids_of(dataset, choice.ids)
        numbers = known if numbers is None else numbers & known
    if numbers is not None:
        found = numbered(dataset, numbers, strict=bool(choice.rows and not choice.ids))
    else:
        found = (chunk.part(at, at + 1) for chunk in chunks_of(dataset) for at in range(len(chunk)))
    if not choice.text:
        yield from found
    elif numbers is None:
        for chunk in chunks_of(dataset):
            yield from (chunk.part(at, at + 1) for at in holding(dataset, chunk, choice.text))
    else:
        yield from (chunk for chunk in found if holding(dataset, chunk, choice.text))


def chunks_of(dataset: DatasetPlan) -> Iterator[Chunk]:
    """All rows; where reading ends early, the reason is raised behind what could be read."""
    loader = dataset.loader()
    yield from loader.chunks()
    for _, fault in loader.source_faults:
        raise fault


def numbers_of(dataset: DatasetPlan, choice: Choice) -> Iterator[int]:
    """The numbers of the rows that fit."""
    if choice.rows or choice.ids or choice.text:
        yield from (chunk.start for chunk in fitting(dataset, choice))
    else:
        for chunk in chunks_of(dataset):
            yield from range(chunk.start, chunk.start + len(chunk))


def numbered(dataset: DatasetPlan, numbers: Set[int], strict: bool = False) -> Iterator[Chunk]:
    """The rows with these numbers; nothing behind the last of them is read. `strict`: each of them must be there."""
    if not numbers:
        return
    wanted, last = sorted(numbers), max(numbers)
    total = 0
    for chunk in chunks_of(dataset):
        total = chunk.start + len(chunk)
        for number in wanted:
            if chunk.start <= number < total:
                yield chunk.part(number - chunk.start, number - chunk.start + 1)
        if last < total:
            return
    if strict:
        raise UsageFault(
            dataset.entry.name, f"no row {last}", f"0 to {total - 1}" if total else "no --row: it is empty"
        )


def holding(dataset: DatasetPlan, chunk: Chunk, text: str) -> list[int]:
    """Which rows of a chunk hold a text, in the chunk's own numbers."""
    batch = flatten(chunk, dataset.entry, Census())

    def rows(frame: pl.DataFrame, column: str) -> pl.Series:
        said = pl.col(column).str.to_lowercase().str.contains(text.lower(), literal=True)
        return frame.filter(said.fill_null(False))["row"]

    found = {*rows(batch.turns, "content"), *rows(batch.media, "path"), *rows(batch.rows, "tools")}
    found |= {row for (row, _), paths in batch.frames.items() if any(text.lower() in path.lower() for path in paths)}
    faulty = sorted({fault.row for fault in batch.faults} - found)
    values = ((row, chunk.part(row - chunk.start, row - chunk.start + 1).raw_rows()[0].value) for row in faulty)
    found |= {row for row, value in values if text.lower() in repr(value).lower()}
    return sorted(row - chunk.start for row in found)


def ids_of(dataset: DatasetPlan, ids: Set[str]) -> set[int]:
    """The numbers of the rows with these ids: those of the build that the dataset is from, else those in the rows."""
    built = built_rows(dataset)
    if built is not None:
        return {number for number, name in enumerate(built.column("id")) if name in ids}
    found = set()
    for chunk in chunks_of(dataset):
        for number, name in enumerate(ids_in(chunk), chunk.start):
            if name is not None and str(name) in ids:
                found.add(number)
    return found


def ids_in(chunk: Chunk) -> Iterator[object]:
    """The values under `id`, None where there is none."""
    if chunk.table is not None:
        if "id" in chunk.table.column_names:
            yield from chunk.table.column("id").to_pylist()
        return
    for value in chunk.values:
        yield mapping(value).get("id")


@dataclass(frozen=True, slots=True)
class BuiltRows:
    """What a build keeps of a dataset's rows beside the trainer's files, in the order in which the trainer reads."""

    folder: Path
    runs: tuple[range, ...]
    """The rows of each of the trainer's files, by their numbers in the folder."""

    def column(self, name: str) -> Iterator[str | None]:
        """One text column."""
        import pyarrow as pa

        lots = []
        for path in sorted(self.folder.glob("*.arrow")):
            try:
                with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
                    lots += [batch.column(name) for batch in stream]
            except (pa.ArrowException, OSError, KeyError) as error:
                raise UsageFault(path, f"not readable: {error}", "the file that curate build wrote") from error
        whole = pa.chunked_array(lots, pa.string())
        for run in self.runs:
            for lot in whole.slice(run.start, len(run)).chunks:
                yield from lot.to_pylist()


def built_rows(dataset: DatasetPlan) -> BuiltRows | None:
    """The ids and sources of a build's dataset; None for other data, and for files that are not as the build wrote
    them."""
    if dataset.info_file is None:
        return None
    home = Path(dataset.info_file).parent
    facts = mapping(mapping((manifest_of(home) or {}).get("datasets")).get(dataset.entry.name))
    name, listed = facts.get("arrow"), facts.get("data")
    if not isinstance(name, str) or not isinstance(listed, list):
        return None
    if not (home / name).is_dir() or not (home / name).resolve().is_relative_to(home.resolve()):
        return None
    known, start = {}, 0
    for each in map(mapping, listed):
        rows = each.get("rows")
        if not isinstance(rows, int):
            return None
        known[Path(str(each.get("file"))).name] = (range(start, start + rows), each.get("sha256"))
        start += rows
    if {path.name for path in dataset.files} != known.keys():
        return None
    if any(sha256_of(path) != known[path.name][1] for path in dataset.files):
        return None
    return BuiltRows(home / name, tuple(known[path.name][0] for path in dataset.files))
