"""Rows of a data file, streamed: a JSON array, JSON lines, or Parquet, never the whole file in memory.

The content decides between array and lines, as it does for the trainer (datasets 4.0.0,
packaged_modules/json/json.py reads JSON lines whatever the file's ending).
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from validators.errors import UsageFault

CHUNK_CHARS = 1 << 20
MAX_ROW_CHARS = 64 << 20  # a single row beyond this is taken for a broken file, so that memory stays bounded
WHITE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class RawRow:
    """A decoded row and its place: `row` counts from 0 over the file, `line` from 1 (JSON only, else 0)."""

    row: int
    line: int
    value: object


class SourceFault(UsageFault):
    """A data file that cannot be read to its end; `row` is the first row that is lost, `line` from 1."""

    def __init__(self, path: Path, row: int, line: int, found: str, expected: str, cure: str) -> None:
        super().__init__(f"{path}:{line}" if line else path, found, expected, cure)
        self.row = row
        self.line = line


def iter_rows(path: Path) -> Iterator[RawRow]:
    """Yield the rows of a .json, .jsonl or .parquet file in order; raises SourceFault where reading ends early."""
    if path.suffix == ".parquet":
        yield from parquet_rows(path)
        return
    with path.open("rb") as raw:
        decoder = codecs.getreader("utf-8")(raw)
        yield from JsonReader(path, decoder).rows()


class JsonReader:
    """Decodes values one at a time out of a growing and shrinking window of text."""

    def __init__(self, path: Path, text: codecs.StreamReader | TextIO) -> None:
        self.path = path
        self.text = text
        self.window = ""
        self.at = 0
        self.line = 1
        self.row = 0
        self.ended = False
        # the loader takes control characters in strings (pandas' ujson), and so does this
        self.decode = json.JSONDecoder(strict=False).raw_decode

    def rows(self) -> Iterator[RawRow]:
        """Each element of the top-level array, or each value of a stream of values."""
        first = self.skip()
        if first == "":
            raise self.fault("the file is empty", "a JSON array of rows, or one JSON object a line")
        if first == "[":
            self.at += 1
            yield from self.array()
        else:
            yield from self.values()

    def values(self) -> Iterator[RawRow]:
        """Each value of a stream of values, whatever it begins with."""
        while self.skip() != "":
            yield self.value()

    def array(self) -> Iterator[RawRow]:
        """The elements between the brackets, separators checked."""
        if self.skip() == "]":
            self.at += 1
        else:
            while True:
                yield self.value()
                mark = self.skip()
                self.at += 1
                if mark == "]":
                    break
                if mark != ",":
                    self.at -= 1
                    raise self.fault(
                        "the file ends inside the array" if mark == "" else f"{mark!r} after a row",
                        "a comma or the closing bracket",
                    )
        if self.skip() != "":
            raise self.fault("text after the closing bracket", "the end of the file")

    def value(self) -> RawRow:
        """Decode one value, reading on while it is incomplete."""
        self.skip()
        step = CHUNK_CHARS
        while True:
            try:
                value, end = self.decode(self.window, self.at)
            except RecursionError as error:
                raise self.fault("a row nested too deeply to read", "a flat conversation object") from error
            except json.JSONDecodeError as error:
                if self.ended:
                    raise self.broken(error) from error
                if len(self.window) - self.at > MAX_ROW_CHARS:
                    raise self.fault(
                        f"no end of the row within {MAX_ROW_CHARS >> 20} MiB", "rows of text and file paths"
                    ) from error
                self.more(step)
                step *= 2  # so that a long row costs no more than twice its length to scan
                continue
            except ValueError as error:  # integers of more digits than Python converts
                raise self.fault(f"a value that cannot be read: {error}", "plain JSON values") from error
            # a number near the end of the window may go on in the next chunk: of `2.5e+1`, `2.5` and `e+` may be here
            if end >= len(self.window) - 2 and not self.ended and not isinstance(value, dict | list | str):
                self.more(step)
                continue
            row = RawRow(self.row, self.line, value)
            self.line += self.window.count("\n", self.at, end)
            self.at = end
            self.row += 1
            return row

    def skip(self) -> str:
        """Pass over white space; the next character, "" at the end of the file."""
        while True:
            while self.at < len(self.window) and self.window[self.at] in WHITE:
                if self.window[self.at] == "\n":
                    self.line += 1
                self.at += 1
            if self.at < len(self.window):
                return self.window[self.at]
            if self.ended:
                return ""
            self.more(CHUNK_CHARS)

    def more(self, count: int) -> None:
        """Drop what was decoded and read on."""
        try:
            text = self.text.read(-1 if count < 0 else count)
        except UnicodeDecodeError as error:
            raise self.fault(
                f"bytes that are not UTF-8 ({error.reason}: {error.object[error.start : error.start + 4]!r})",
                "UTF-8 text",
                "convert the file: iconv -f ORIGINAL -t UTF-8",
            ) from error
        if "\x00" in text:
            raise self.fault("a NUL character", "JSON text")
        self.ended = text == ""
        self.window = self.window[self.at :] + text
        self.at = 0

    def broken(self, error: json.JSONDecodeError) -> SourceFault:
        """A JSON syntax error, placed in the file rather than in the window."""
        self.line += self.window.count("\n", self.at, error.pos)
        column = error.pos - self.window.rfind("\n", 0, error.pos)
        near = self.window[error.pos : error.pos + 24].split("\n")[0]
        return self.fault(
            f"not JSON: {error.msg} at column {column}" + (f", near {near!r}" if near else ""), "valid JSON"
        )

    def fault(
        self, found: str, expected: str, cure: str = "repair the file at this line; rows before it are fine"
    ) -> SourceFault:
        """Where reading stops."""
        return SourceFault(self.path, self.row, self.line, found, expected, cure)


def parquet_rows(path: Path) -> Iterator[RawRow]:
    """The rows of a Parquet file, a batch at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for value in batch.to_pylist():
                    yield RawRow(row, 0, value)
                    row += 1
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SourceFault(
            path, row, 0, f"not a readable Parquet file: {reason}", "Parquet", "write the file again"
        ) from error
