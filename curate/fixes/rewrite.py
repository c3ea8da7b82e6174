"""A JSON data file written again with some of its rows changed or left out; all else keeps its bytes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from curate.fixes.json_edit import CannotEdit, edited
from curate.fixes.json_rows import TextRow, text_rows
from curate.fixes.json_text import parse, same
from validators.sources.rows import RawRow

LOT_ROWS = 256
LOT_CHARS = 4 << 20

Change = Callable[[Sequence[RawRow]], Mapping[int, object]]
"""New values by row number, for those of the rows that change."""


@dataclass(slots=True)
class Written:
    """What was written: the number of rows, and by row why a change could not be written."""

    rows: int = 0
    refused: dict[int, str] = field(default_factory=dict)


def rewrite(source: Path, target: Path, wanted: Callable[[RawRow], bool], change: Change) -> Written:
    """Write the file with what `change` makes of the wanted rows, a lot at a time.

    Raises SourceFault where the source cannot be read to its end.
    """
    done = Written()
    with target.open("w", encoding="utf-8", newline="") as file:
        for lot, chosen in lots(source, wanted):
            values = change(chosen) if chosen else {}
            for piece in lot:
                file.write(piece.before)
                row = piece.row
                text = piece.text
                done.rows += row is not None
                if row is not None and row.row in values:
                    try:
                        text = row_text(piece, values[row.row])
                    except (CannotEdit, RecursionError) as error:
                        done.refused[row.row] = str(error) or "nested too deeply"
                file.write(text)
    return done


def lots(source: Path, wanted: Callable[[RawRow], bool]) -> Iterator[tuple[list[TextRow], list[RawRow]]]:
    """Stretches of the file, and their wanted rows: enough to judge at once, never too much to hold."""
    lot: list[TextRow] = []
    chosen: list[RawRow] = []
    chars = 0
    for piece in text_rows(source):
        lot.append(piece)
        chars += len(piece.before) + len(piece.text)
        if piece.row is not None and wanted(piece.row):
            chosen.append(piece.row)
        if len(chosen) >= LOT_ROWS or chars >= LOT_CHARS:
            yield lot, chosen
            lot, chosen, chars = [], [], 0
    yield lot, chosen


def row_text(piece: TextRow, value: object) -> str:
    """The row's text with another value, proved by reading it again."""
    text = edited(piece.text, parse(piece.text), value, piece.lead)
    if not equal(parse(text).value, value):
        raise CannotEdit("the changed text does not read as the changed row")
    return text


def equal(one: object, other: object) -> bool:
    """Whether two values are the same but for the order of keys."""
    if isinstance(one, dict) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(equal(item, other[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return same(one, other)


def without(source: Path, target: Path, gone: Collection[int], take: Callable[[TextRow], None]) -> int:
    """Write the file without some rows, which are handed to `take`; the number of rows that are left.

    Each row goes with the separator before it; the first that stays takes the place of the first.
    """
    opening: str | None = None
    kept = 0
    with target.open("w", encoding="utf-8", newline="") as file:
        for piece in text_rows(source):
            if opening is None:
                opening = piece.before
            if piece.row is not None and piece.row.row in gone:
                take(piece)
                continue
            if piece.row is not None:
                file.write((piece.before if kept else opening) + piece.text)
                kept += 1
            else:
                file.write(piece.before if kept else opening + piece.before)
    return kept
