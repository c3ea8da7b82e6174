"""A JSON data file as its rows' own texts and what stands between them, streamed: together they are the file."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.fixes.json_text import DECODER
from validators.sources.rows import JsonReader, RawRow

BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class TextRow:
    """A row, the text that stands before it since the row before, and its own; the last has no row."""

    before: str
    text: str
    row: RawRow | None

    @property
    def lead(self) -> str:
        """The white space before the row on its first line."""
        line = self.before.rpartition("\n")[2]
        return line[len(line.rstrip()) :] if "\n" in self.before else ""


def text_rows(path: Path) -> Iterator[TextRow]:
    """The rows of an array or of JSON lines, then what follows the last one. SourceFault where reading ends early."""
    with path.open("rb") as raw:
        reader = TextReader(path, codecs.getreader("utf-8")(raw))
        for row in reader.rows():
            before, text = reader.given()
            yield TextRow(before, text, row)
        yield TextRow(reader.rest(), "", None)


class TextReader(JsonReader):
    """Keeps the text of what it passes over."""

    def __init__(self, path: Path, text: codecs.StreamReader) -> None:
        super().__init__(path, text)
        self.decode = DECODER.raw_decode
        self.before: list[str] = []
        self.row_text = ""
        self.taken = 0
        self.fresh = True

    def more(self, count: int) -> None:
        """Keep what is about to be dropped."""
        self.before.append(self.window[self.taken : self.at])
        self.taken = 0
        super().more(count)
        if self.fresh and self.window:
            self.fresh = False
            if self.window.startswith(BOM):  # the loader passes over it before JSON lines
                self.at = 1

    def value(self) -> RawRow:
        """One row, its text aside."""
        self.skip()
        self.before.append(self.window[self.taken : self.at])
        self.taken = self.at
        row = super().value()
        self.row_text = self.window[self.taken : self.at]
        self.taken = self.at
        return row

    def given(self) -> tuple[str, str]:
        """The text before the last row, and its own."""
        before, self.before = "".join(self.before), []
        return before, self.row_text

    def rest(self) -> str:
        """What follows the last row."""
        return "".join(self.before) + self.window[self.taken :]
