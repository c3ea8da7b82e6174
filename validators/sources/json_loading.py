"""JSON files as the trainer's loader takes them (datasets 4.0.0, packaged_modules/json/json.py: _generate_tables).

JSON lines go through pyarrow.json in chunks of 10 MiB, each with types of its own. Where pyarrow refuses a chunk, the
whole file goes to pandas.read_json, which is how every array is read, and from there through pyarrow's inference over
each column. Arrays are streamed here: rows in lots, types joined over the lots. The file itself is given to pandas
only when something is odd about it and it is small enough to be held (ODD_BYTES); beyond that, the verdict rests on
the joined types alone.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from validators.sources.batch import LoadFault, LoadKind, kind_of
from validators.sources.casting import TypeConflict, cast_table, merge_schemas
from validators.sources.chunks import Chunk
from validators.sources.loading import DEEPEST, EMPTY, Loader, is_deep
from validators.sources.rows import WHITE, JsonReader, RawRow, SourceFault

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_BYTES = 10 << 20
LEAST_BLOCK = 16 << 10
ODD_BYTES = 32 << 20
LOT_ROWS = 2048
SAFE_DEPTH = 1000
"""pyarrow.json recurses on the C stack: beyond some ten thousand levels it takes the process down."""


def json_chunks(loader: Loader, path: Path) -> Iterator[Chunk]:
    """A .json or .jsonl file, told apart by its content as the loader does."""
    with path.open("rb") as file:
        mark = first_mark(file)
    if mark == b"":
        if path.stat().st_size == 0 or not loader.law:
            raise SourceFault(path, 0, 1, EMPTY, "a JSON array of rows, or one JSON object a line", "")
        return
    if mark == b"[":
        yield from array_chunks(loader, path)
    else:
        yield from line_chunks(loader, path)


def first_mark(file: io.BufferedReader) -> bytes:
    """The first byte that is no white space; a byte order mark counts as one."""
    while block := file.read(1 << 16):
        if stripped := block.lstrip(WHITE.encode()):
            return stripped[:1]
    return b""


def line_chunks(loader: Loader, path: Path) -> Iterator[Chunk]:
    """JSON lines (or values in a row) by pyarrow; the file goes to pandas when it refuses a chunk."""
    import pyarrow as pa

    block = max(CHUNK_BYTES // 32, LEAST_BLOCK)
    first, line = 0, 1
    with path.open("rb") as file:
        while True:
            at = file.tell()
            text = file.read(CHUNK_BYTES)
            if not text:
                return
            text += file.readline()
            try:
                check_text(path, text, first, line)
                table, block = read_lines(text, block)
            except pa.ArrowInvalid as error:
                yield from refused(loader, path, at, first, line, error)
                return
            except SourceFault as fault:
                yield from raw_chunks(loader, path, at, first, line, fault)
                return
            if reason := damage(table):
                yield from raw_chunks(loader, path, at, first, line, None, reason)
                return
            yield loader.conform(path, first, table, lines_of(text, line, table.num_rows))
            first += table.num_rows
            line += text.count(b"\n")


def damage(table: pa.Table) -> str:
    """What pyarrow made of lines that it cannot hold; "" of sound ones.

    pyarrow 26.0.1 reads lists that begin with null past their end: rows get the values of others, or a SystemError.
    """
    import pyarrow as pa

    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        return "pyarrow reads a list that begins with null past its end here, and rows get the values of others"
    return ""


def read_lines(text: bytes, block: int) -> tuple[pa.Table, int]:
    """One chunk by pyarrow, with blocks that grow until no object is cut; also the block size for the next chunk."""
    import pyarrow as pa
    import pyarrow.json as paj

    while True:
        try:
            return paj.read_json(io.BytesIO(text), read_options=paj.ReadOptions(block_size=block)), block
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            if (isinstance(error, pa.ArrowInvalid) and "straddling" not in str(error)) or block > len(text):
                raise
            block *= 2


def check_text(path: Path, text: bytes, first: int, line: int) -> None:
    """What would take the process down inside pyarrow, or break when a row is looked at."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        row = text.count(b"\n", 0, error.start)
        raise SourceFault(
            path,
            first + row,
            line + row,
            f"bytes that are not UTF-8 ({error.reason}: {text[error.start : error.start + 4]!r})",
            "UTF-8 text",
            "convert the file: iconv -f ORIGINAL -t UTF-8",
        ) from error
    plain = True
    for row_text in text.removeprefix(codecs.BOM_UTF8).splitlines():
        stripped = row_text.strip()
        if stripped and not (stripped.startswith(b"{") and stripped.endswith(b"}")):
            plain = False
        if stripped.count(b"[") + stripped.count(b"{") > SAFE_DEPTH:
            plain = False
    if plain:
        return
    depth, words = structure_of(text)
    if words:
        raise SourceFault(path, first, line, "null or a bare word as a row", "an object", "")
    if depth > SAFE_DEPTH:
        raise SourceFault(path, first, line, "a row nested too deeply to read", "a flat conversation object", "")


def structure_of(text: bytes) -> tuple[int, bool]:
    """The deepest nesting, brackets inside strings left out, and whether a bare `n…` stands outside all rows."""
    import numpy as np

    data = np.frombuffer(text.replace(b"\\\\", b"").replace(b'\\"', b""), dtype=np.uint8)
    outside = np.cumsum(data == 0x22) % 2 == 0
    opens = ((data == 0x5B) | (data == 0x7B)) & outside
    closes = ((data == 0x5D) | (data == 0x7D)) & outside
    depth = np.cumsum(opens.astype(np.int32) - closes.astype(np.int32))
    words = (data == 0x6E) & outside & (depth == 0)
    return int(depth.max(initial=0)), bool(words.any())


def lines_of(text: bytes, line: int, rows: int) -> Sequence[int]:
    """The line of each row where each non-empty line is one row; empty where it is not so."""
    filled = [number for number, item in enumerate(text.split(b"\n"), line) if item.strip()]
    return filled if len(filled) == rows else ()


def refused(loader: Loader, path: Path, at: int, first: int, line: int, error: pa.ArrowInvalid) -> Iterator[Chunk]:
    """What pyarrow could not read: pandas may, over the whole file; else the fault, and the rows as they stand."""
    table = pandas_table(path)
    if table is not None and not isinstance(table, str):
        yield loader.conform(path, first, table)
        return
    reason = f"the loader refuses the rows from here: {str(error).splitlines()[0]}"
    yield from raw_chunks(loader, path, at, first, line, None, reason)


def raw_chunks(
    loader: Loader,
    path: Path,
    at: int,
    first: int,
    line: int,
    fault: SourceFault | None,
    reason: str = "",
) -> Iterator[Chunk]:
    """Rows as Python reads them, from a byte of the file on, after the loader has given up; then the reason why."""
    conflict = Conflicts()
    with path.open("rb") as file:
        file.seek(at)
        reader = JsonReader(path, codecs.getreader("utf-8")(file))
        reader.row, reader.line = first, line
        rows = reader.values()
        broken: SourceFault | None = None
        for lot, fault_after in lots(rows):
            broken = fault_after
            for row in lot:
                conflict.see(row.row, row.value)
            if lot:
                yield Chunk(path, lot[0].row, loader.rows, [row.line for row in lot], None, [row.value for row in lot])
    if broken or fault:
        raise broken or fault or AssertionError
    if conflict.found is not None:
        loader.faults.append(conflict.fault(path))
        return
    raise SourceFault(path, first, line, reason, "JSON lines", "")


def array_chunks(loader: Loader, path: Path) -> Iterator[Chunk]:
    """A JSON array: lots of rows, types joined over them; held back until the file's end while it is small."""
    held: list[Chunk] = []
    schema: pa.Schema | None = None
    conflict: TypeConflict | None = None
    odd, broken, total = False, None, 0
    small = path.stat().st_size <= ODD_BYTES
    with path.open("rb") as file:
        rows = JsonReader(path, codecs.getreader("utf-8")(file)).rows()
        for lot, fault_after in lots(rows):
            broken = fault_after
            if lot:
                chunk, strange = lot_chunk(path, lot, loader.rows + total)
                odd |= strange
                if chunk.table is not None:
                    try:
                        schema = merge_schemas(schema, chunk.table.schema)
                    except TypeConflict as caught_conflict:
                        conflict = conflict or caught_conflict
                total += len(lot) if small else 0
                if small:
                    held.append(chunk)
                else:
                    yield chunk
    odd |= conflict is not None or broken is not None or dates_likely(schema, loader.watched)
    if small and odd:
        table = pandas_table(path)
        if table is not None and not isinstance(table, str):
            lines = [line for chunk in held for line in chunk.lines]
            if table.num_rows:
                yield loader.conform(path, 0, table, lines if len(lines) == table.num_rows else ())
            return
        yield from held
        diagnose(loader, path, broken, table or "")
        return
    if small and schema is not None:
        for chunk in held:
            table = cast_table(chunk.table, schema) if chunk.table is not None else None
            if table is not None:
                done = loader.conform(path, chunk.first, table, chunk.lines)
                yield done
        return
    yield from held
    if odd:
        diagnose(loader, path, broken, None)
    elif schema is not None:
        loader.conform(path, 0, schema.empty_table())


def lots(rows: Iterator[RawRow]) -> Iterator[tuple[list[RawRow], SourceFault | None]]:
    """Up to LOT_ROWS rows at a time; with the last of them what broke the reading, if anything did."""
    while True:
        lot: list[RawRow] = []
        broken: SourceFault | None = None
        try:
            lot.extend(islice(rows, LOT_ROWS))
        except SourceFault as caught:
            broken = caught
        yield lot, broken
        if broken is not None or not lot:
            return


def lot_chunk(path: Path, lot: list[RawRow], start: int) -> tuple[Chunk, bool]:
    """A lot of rows as a table, or as values when Arrow refuses them (then it is odd)."""
    import pyarrow as pa

    values = [row.value for row in lot]
    lines = [row.line for row in lot]
    try:
        names = dict.fromkeys(name for value in values for name in value)  # type: ignore[attr-defined]
        if not names or any(not isinstance(value, dict) for value in values) or strange_names(names):
            raise ValueError("no table")
        table = pa.table(
            {name: pa.array([value.get(name) for value in values], from_pandas=True) for name in names}  # type: ignore[attr-defined]
        )
        if any(is_deep(table.schema.field(name).type) for name in names):
            raise ValueError("too deep")
    except (pa.ArrowException, ValueError, TypeError, OverflowError, RecursionError):
        return Chunk(path, lot[0].row, start, lines, None, values), True
    return Chunk(path, lot[0].row, start, lines, table), False


def strange_names(names: dict[str, None]) -> bool:
    """Column names that pandas may take for numbers or dates."""
    return any(name == "" or name[0] in "0123456789+-" for name in names)


def dates_likely(schema: pa.Schema | None, watched: frozenset[str]) -> bool:
    """Whether a mapped column has a name of which pandas converts the values to dates."""
    names = [] if schema is None else [name for name in schema.names if name in watched]
    return any(
        name.lower().endswith(("_at", "_time")) or name.lower().startswith("timestamp") or name.lower() in DATE_NAMES
        for name in names
    )


DATE_NAMES = ("modified", "date")


def pandas_table(path: Path) -> pa.Table | str | None:
    """The whole file by pandas as the loader calls it: its table, or what it says; None for one that is not tried."""
    if path.stat().st_size > ODD_BYTES:
        return None
    import warnings

    import pandas as pd  # type: ignore[import-untyped]
    import pyarrow as pa

    try:
        with warnings.catch_warnings(), path.open(encoding="utf-8") as file:
            warnings.simplefilter("ignore")
            frame = pd.read_json(file, dtype_backend="pyarrow")
            if frame.columns.tolist() == [0]:
                frame.columns = ["text"]
            table = pa.Table.from_pandas(frame, preserve_index=False)
        table.validate(full=True)
        return table.replace_schema_metadata(None)
    except Exception as error:  # pandas raises whatever its parser meets: AttributeError, OverflowError …
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def diagnose(loader: Loader, path: Path, broken: SourceFault | None, reason: str | None) -> None:
    """Why an array does not load: the break in the text, or the first value of another type.

    Without a `reason` (nobody tried it as a whole) a file that shows neither is taken to load.
    """
    if broken is not None:
        raise broken
    conflict = Conflicts()
    with path.open("rb") as file:
        for row in JsonReader(path, codecs.getreader("utf-8")(file)).rows():
            conflict.see(row.row, row.value)
            if conflict.found is not None:
                loader.faults.append(conflict.fault(path))
                return
    if reason is not None:
        raise SourceFault(path, 0, 1, f"the loader refuses the file: {reason}", "an array of flat objects", "")


class Conflicts:
    """Watches the kind of value at each column path until two differ."""

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}
        self.found: tuple[int, str, str, str] | None = None

    def see(self, row: int, value: object, place: str = "") -> None:
        """Take one row; `found` is row, place, earlier kind, this kind of the first conflict."""
        waiting = [(place, value, 0)]
        while waiting and self.found is None:
            place, value, depth = waiting.pop()
            kind = json_kind(value)
            if kind is None:
                continue
            known = self.kinds.setdefault(place, kind)
            if isinstance(value, int) and not -(2**63) <= value < 2**64:
                known, kind = "a number within 64 bits", "a number beyond 64 bits"
            if isinstance(value, list | dict) and value and depth > DEEPEST:
                known, kind = f"at most {DEEPEST} levels deep", "deeper"
            if known != kind:
                self.found = (row, place or "row", known, kind)
            elif isinstance(value, dict):
                names = ((f"{place}.{key}" if place else str(key), item) for key, item in reversed(value.items()))
                waiting += [(name, item, depth + 1) for name, item in names]
            elif isinstance(value, list):
                waiting += [(f"{place}[]", item, depth + 1) for item in reversed(value)]

    def fault(self, path: Path) -> LoadFault:
        """The finding."""
        row, place, known, kind = self.found or (0, "", "", "")
        return LoadFault(
            LoadKind.MIXED_TYPES,
            path,
            row,
            place,
            f"{place} is {kind} here and {known} in earlier rows",
            "one type in each column, at every depth",
            "write the values of this column all in one form",
        )


def json_kind(value: object) -> str | None:
    """The Arrow family of a JSON value; None for null, which goes with any."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    return kind_of(value)
