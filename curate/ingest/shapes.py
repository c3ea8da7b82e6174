"""What rows can look like, whatever file they come in: one literal table, and the choice by the first rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from curate.ingest import alpaca, captions, label_studio, llava, minicpm, ms_swift, openai, qwen, sharegpt
from curate.ingest.raw import Options, RawItem
from curate.ingest.tables import PEEK_ROWS, Shape, one
from validators.errors import UsageFault

Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Look:
    """A form of rows: how one is read, and whether some are of it."""

    name: str
    item: Shape
    fits: Callable[[Rows], bool]


LOOKS = (
    Look("alpaca", alpaca.item, alpaca.fits),
    Look("label-studio", label_studio.item, label_studio.fits),
    Look("llava", llava.item, llava.fits),
    Look("minicpm", minicpm.item, minicpm.fits),
    Look("ms-swift", ms_swift.item, ms_swift.fits),
    Look("openai", openai.item, openai.fits),
    Look("qwen", qwen.item, qwen.fits),
    Look("sharegpt", sharegpt.item, sharegpt.fits),
)


def looks(rows: Rows) -> tuple[Look, ...]:
    """Every form that the rows fit."""
    return tuple(look for look in LOOKS if rows and look.fits(rows))


def shape_of(path: Path, rows: Rows, options: Options) -> Shape:
    """How to read rows whose form nobody named: the one that they fit, else as columns of captions."""
    fitting = looks(rows)
    if len(fitting) > 1:
        could = ", ".join(look.name for look in fitting)
        raise UsageFault(path, f"rows that could be {could}", "rows of one form", "name it: format: " + fitting[0].name)
    if fitting and not options.columns:
        return fitting[0].item
    names = tuple(dict.fromkeys(str(key) for row in rows for key in row))
    if rows and (lacking := captions.missing(names, options.columns)):
        found = f"no column {', '.join(lacking)} (found: {', '.join(names)})"
        cure = f"map it in the recipe, such as columns: {{{lacking[0]}: {names[0] if names else 'NAME'}}}"
        raise UsageFault(path, found, ", ".join(lacking), cure)
    return captions.item


def read_any(path: Path, values: Iterable[object], options: Options) -> Iterator[RawItem]:
    """Rows whose form the first of them show."""
    stream = iter(values)
    first = list(islice(stream, PEEK_ROWS))
    shape = shape_of(path, tuple(value for value in first if isinstance(value, Mapping)), options)
    for row, value in enumerate(chain(first, stream)):
        yield one(path, row, value, shape, options)
