"""The nouns of mending: what a fixer is shown, what it may answer, and what it costs to be wrong.

A fixer never touches a file. It answers with a new value, in words, and with the media files that must be made for it;
the engine makes them, judges the new value, and keeps it only if it helps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from validators.findings import Finding
from validators.rules.fixable import Safety
from validators.sources.dataset_info import DatasetEntry

Row = Mapping[str, object]
MakeMedium = Callable[[Path, Path], str]
"""From a source to a new file at the destination, which does not exist yet; says what was done ("rotated by 90°").
Raises CannotMend, and then leaves nothing at the destination. The source is never touched."""


class CannotMend(Exception):
    """Why a fixer has no answer; the message reads on after a colon: "half of the picture is missing"."""


@dataclass(frozen=True, slots=True)
class Making:
    """A media file to make before the row that names it is written."""

    source: Path
    target: Path
    make: MakeMedium


@dataclass(frozen=True, slots=True)
class Mend:
    """One answer: the new value, what was done in words, how sure it is, and the files that it needs.

    The words of a Making's own `make` are used where `words` is empty.
    """

    value: object
    words: str
    safety: Safety
    makings: tuple[Making, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A row with one of its findings, and where its media lie."""

    value: Row
    finding: Finding
    entry: DatasetEntry
    media_dir: Path

    @property
    def place(self) -> str:
        """Where in the row: `images[0]`, `messages[1].content`."""
        return self.finding.place.path


RowFixer = Callable[[Case], Iterator[Mend]]
"""Answers in order of preference: the first that helps is taken. Raises CannotMend to say why there is none."""


@dataclass(frozen=True, slots=True)
class MediaFixer:
    """Makes a mended copy of one media file beside it, named NAME.fixed with `suffix(source)`."""

    make: MakeMedium
    suffix: Callable[[Path], str]
    """The new file's ending, with its dot."""
    safety: Safety
