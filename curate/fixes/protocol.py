"""The nouns of mending: what a fixer is shown, what it may answer, and what it costs to be wrong.

A fixer of rows never touches a file. It answers with a new value and says in words what it did; the engine judges the
new value and keeps it only if it helps. A fixer of media makes a new file beside the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from validators.findings import Finding
from validators.rules.fixable import Safety
from validators.sources.dataset_info import DatasetEntry

Row = Mapping[str, object]


class CannotMend(Exception):
    """Why a fixer has no answer; the message reads on after a colon: "half of the picture is missing"."""


@dataclass(frozen=True, slots=True)
class Mend:
    """One answer: the new value, what was done in words, and how sure it is to be right."""

    value: Row
    words: str
    safety: Safety


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
class EntryCase:
    """An entry of dataset_info.json with one of its findings, and the first rows that it names."""

    name: str
    value: object
    finding: Finding
    folder: Path
    """The dataset_dir."""
    rows: tuple[Row, ...]

    @property
    def raw(self) -> Row:
        """The entry where it is an object; else an empty one."""
        return self.value if isinstance(self.value, Mapping) else {}


EntryFixer = Callable[[EntryCase], Iterator[Mend]]


@dataclass(frozen=True, slots=True)
class MediaFixer:
    """Makes a mended copy of one media file beside it; the engine names it NAME.fixed and writes it into the rows.

    make: from a source to a destination that does not exist yet; says what was done ("turned by 90°"). Raises
    CannotMend, and then leaves nothing there. It never touches the source.
    """

    make: Callable[[Path, Path], str]
    suffix: Callable[[Path], str]
    """The new file's ending, with its dot."""
    safety: Safety
