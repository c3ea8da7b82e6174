"""The quick way from an Arrow chunk to a Batch: no Python object per row, for chunks without any fault of form.

What it makes is what the row path makes (a test holds the two together); anything that is not plain is left to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from validators.model import MediaKind, Role
from validators.sources.batch import MEDIA, ROWS, TURNS, Batch, Census
from validators.sources.chunks import Chunk
from validators.sources.dataset_info import DatasetEntry
from validators.sources.openai import ANSWERS, QUESTIONS, THINKING

if TYPE_CHECKING:
    import pyarrow as pa


def plain_batch(chunk: Chunk, entry: DatasetEntry, census: Census) -> Batch | None:
    """The chunk's Batch, or None, with the census untouched, where a row may have a fault of form."""
    if entry.formatting not in ("sharegpt", "openai") or chunk.table is None or len(chunk) == 0:
        return None
    table = chunk.table.combine_chunks()
    kto = entry.columns["kto_tag"]
    if kto is not None and kto in table.column_names:
        return None
    messages = message_columns(table, entry)
    system = text_column(table, entry.columns["system"])
    tools = text_column(table, entry.columns["tools"])
    if messages is None or system is None or tools is None:
        return None
    media = media_frame(chunk, table, entry)
    lengths, roles, contents, keys = messages
    rows = pl.Series("row", range(chunk.start, chunk.start + len(chunk)), dtype=pl.Int64)
    frame = pl.DataFrame({"row": rows, "n": lengths, "system": system, "tools": tools})
    turns = turn_frame(frame, roles, contents, entry)
    if media is None or turns is None:
        return None
    note_first(census, frame, turns, media, entry)
    if entry.formatting == "sharegpt":
        census.unled += len(chunk) - turns.filter((pl.col("turn") == 0) & pl.col("system")).height
    census.rows += len(chunk)
    for name in table.column_names:
        census.columns[name] += len(chunk)
    for key in keys:
        census.message_keys[key] += len(roles)
    for role, count in roles.value_counts().iter_rows():
        census.roles[role] += count
    for kind in MediaKind:
        count = media.filter(pl.col("kind") == kind.value)["row"].n_unique()
        if count:
            census.media[str(entry.media_column(kind))] += count
    lines = pl.Series("line", list(chunk.lines) or [0] * len(chunk), dtype=pl.Int64)
    numbered = frame.select("row", lines, pl.col("n").cast(pl.Int32).alias("turns"), pl.lit(True).alias("readable"))
    return Batch(numbered.with_columns(tools=tools).select(ROWS.names()).cast(ROWS), turns, media, ())


def note_first(
    census: Census, frame: pl.DataFrame, turns: pl.DataFrame, media: pl.DataFrame, entry: DatasetEntry
) -> None:
    """What the row path notes of each row's aligned columns, for the batch's first row that has them."""
    base = int(frame["row"][0])
    tools = frame.filter(pl.col("tools").is_not_null())["row"] if entry.columns["tools"] else frame["row"]
    led = turns.filter((pl.col("turn") == 0) & pl.col("system"))["row"]
    system = frame["row"]
    if entry.formatting == "sharegpt" and entry.columns["system"]:
        system = frame.filter(pl.col("system").is_not_null() | pl.col("row").is_in(led.implode()))["row"]
    firsts = {"tools": tools, "system": system, "text": system}
    firsts |= {kind.column: media.filter(pl.col("kind") == kind.value)["row"] for kind in MediaKind}
    for name, rows in firsts.items():
        if len(rows):
            row = int(rows[0])
            census.see(name, census.rows + row - base, row)


def message_columns(table: pa.Table, entry: DatasetEntry) -> tuple[pl.Series, pl.Series, pl.Series, list[str]] | None:
    """Messages per row, and role and content of all in a row; None where one is null or no text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column, role, content = entry.columns["messages"], entry.tags["role_tag"], entry.tags["content_tag"]
    if column is None or role is None or content is None or column not in table.column_names:
        return None
    array: Any = single(table, column)
    if not is_list(array.type) or array.null_count or not pa.types.is_struct(array.type.value_type):
        return None
    structs: Any = array.flatten()
    names = [field.name for field in structs.type]
    if structs.null_count or role not in names or content not in names or len(set(names)) < len(names):
        return None
    if entry.formatting == "openai" and "tool_calls" in names and has_calls(structs.field("tool_calls")):
        return None
    parts = [structs.field(name) for name in (role, content)]
    if any(not is_text(part.type) or part.null_count for part in parts):
        return None
    lengths = pc.list_value_length(array)
    roles, contents = (series(part).rename(name) for part, name in zip(parts, ("role", "content"), strict=True))
    return series(lengths).rename("n"), roles, contents, names


def has_calls(array: pa.Array[Any]) -> bool:
    """Whether any message has tool calls."""
    return bool(array.null_count < len(array))


def turn_frame(frame: pl.DataFrame, roles: pl.Series, contents: pl.Series, entry: DatasetEntry) -> pl.DataFrame | None:
    """The turns of the batch, system prompts among them; None where openai data need the row path."""
    import numpy as np

    openai = entry.formatting == "openai"
    names = entry.role_names()
    words = [name for name in names if name is not None]
    if openai and not roles.is_in([word for word in words if word != entry.tags["observation_tag"]]).all():
        return None
    counts = frame["n"].to_numpy()
    flat = pl.DataFrame(
        {
            "row": np.repeat(frame["row"].to_numpy(), counts),
            "turn": np.arange(len(roles)) - np.repeat(np.cumsum(counts) - counts, counts),
            "role": roles,
            "content": contents,
        }
    )
    lead = (
        (pl.col("turn") == 0) & (pl.col("role") == entry.tags["system_tag"])
        if entry.tags["system_tag"]
        else pl.lit(False)
    )
    flat = flat.with_columns(lead.alias("system"))
    flat = flat.with_columns((pl.col("turn") - pl.col("system").max().over("row").cast(pl.Int64)).alias("pos"))
    flat = flat.with_columns(pl.when("system").then(pl.lit(-1)).otherwise(pl.col("pos")).alias("pos"))
    mapping = {name: role for name, role in names.items() if name is not None}
    canon = pl.col("role").replace_strict(mapping, default=None, return_dtype=pl.String)
    flat = flat.with_columns(pl.when("system").then(pl.lit(Role.SYSTEM.value)).otherwise(canon).alias("canon"))
    even, odd = entry.accepted()
    word, accepted = (pl.col("canon"), (QUESTIONS, ANSWERS)) if openai else (pl.col("role"), (even, odd))
    parity = [word.is_in([name for name in side if name is not None]) for side in accepted]
    fits = pl.when(pl.col("pos") % 2 == 0).then(parity[0]).otherwise(parity[1])
    flat = flat.with_columns((pl.col("system") | fits).alias("fits"), pl.lit(None, pl.String).alias("place"))
    led = flat.filter("system").select("row")
    others = frame.join(led, on="row", how="anti").select("row", pl.col("system").fill_null("").alias("content"))
    if openai:
        tools = frame.select("row", (pl.col("tools").fill_null("") != "").alias("given"))
        others = worded(others.join(tools, on="row", how="left", maintain_order="left"))
        flat = flat.join(tools, on="row", how="left", maintain_order="left")
        flat = pl.concat([worded(flat.filter("system")), flat.filter(~pl.col("system"))])
    place = entry.columns["system"] or "system"
    others = others.filter(pl.col("content") != "").with_columns(
        turn=-1, pos=-1, role=pl.lit(entry.tags["system_tag"] or "system"), system=True,
        canon=pl.lit(Role.SYSTEM.value), fits=True, place=pl.lit(place),
    )  # fmt: skip
    picked = [part.select(TURNS.names()).cast(TURNS) for part in (flat, others)]
    return pl.concat(picked).sort("row", "turn")


def worded(frame: pl.DataFrame) -> pl.DataFrame:
    """System prompts as the openai converter leaves them (validators.sources.openai: worded)."""
    text = pl.col("content")
    said = text.str.contains(THINKING[0], literal=True) | text.str.contains(THINKING[1], literal=True)
    empty = pl.when("given").then(pl.lit("")).otherwise(pl.lit(THINKING[1]))
    filled = pl.when("given").then(text + "\n").when(said).then(text).otherwise(text + "\n" + THINKING[1])
    return frame.with_columns(pl.when(text == "").then(empty).otherwise(filled).alias("content"))


def media_frame(chunk: Chunk, table: pa.Table, entry: DatasetEntry) -> pl.DataFrame | None:
    """All media entries; None where one is no path."""
    import numpy as np
    import pyarrow.compute as pc

    parts = []
    for order, kind in enumerate(MediaKind):
        column = entry.media_column(kind)
        if column is None or column not in table.column_names:
            continue
        array: Any = single(table, column)
        if str(array.type) == "null":
            continue
        if is_text(array.type):
            counts = array.is_valid().to_numpy(zero_copy_only=False).astype(int)
            paths = array.drop_null()
        elif is_list(array.type) and (is_text(array.type.value_type) or str(array.type.value_type) == "null"):
            lengths: Any = pc.list_value_length(array)
            counts = lengths.fill_null(0).to_numpy(zero_copy_only=False)
            paths = array.flatten()
        else:
            return None
        if paths.null_count:
            return None
        ids = np.arange(chunk.start, chunk.start + len(chunk))
        slots = np.arange(len(paths)) - np.repeat(np.cumsum(counts) - counts, counts)
        values = pl.Series("path", [], pl.String) if not len(paths) else series(paths).rename("path")
        rows = np.repeat(ids, counts)
        parts.append(pl.DataFrame({"row": rows, "kind": [kind.value] * len(rows), "slot": slots, "path": values}))
        parts[-1] = parts[-1].with_columns(order=order).cast({"row": pl.Int64, "slot": pl.Int32, "kind": pl.String})
    if not parts:
        return pl.DataFrame(schema=MEDIA)
    return pl.concat(parts).sort("row", "order", "slot").select(MEDIA.names()).cast(MEDIA)


def text_column(table: pa.Table, column: str | None) -> pl.Series | None:
    """A text column with nulls, all null where it is not mapped or absent; None where it is no text."""
    if column is None or column not in table.column_names:
        return pl.Series([None] * table.num_rows, dtype=pl.String)
    array: Any = single(table, column)
    if str(array.type) == "null":
        return pl.Series([None] * table.num_rows, dtype=pl.String)
    return series(array) if is_text(array.type) else None


def single(table: pa.Table, column: str) -> pa.Array[Any]:
    """A column as one array."""
    import pyarrow as pa

    chunks: Any = table.column(column)
    joined: pa.Array[Any] = chunks.chunk(0) if chunks.num_chunks == 1 else pa.concat_arrays(chunks.chunks)
    return joined


def series(array: pa.Array[Any]) -> pl.Series:
    """An Arrow array as a polars column, text as String."""
    made = pl.Series(values=pl.from_arrow(array))
    return made.cast(pl.String) if is_text(array.type) else made


def is_text(kind: pa.DataType) -> bool:
    """Strings of either offset width."""
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_list(kind: pa.DataType) -> bool:
    """Lists of either offset width."""
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))
