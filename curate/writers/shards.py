"""One dataset as parquet shards with its media inside.

The column types are what LLaMA-Factory 0.9.5 trains from when it loads them from the Hub:
- images as struct<bytes, path>, declared `Image(decode=False)`. Decoded images would pass through `Dataset.map`,
  which writes a JPEG again at PIL's default quality, and datasets would rotate by EXIF: other pixels than from disk.
- audios as bytes: `torchaudio.load` takes them, and refuses a struct<bytes, path>.
- videos as struct<bytes, path>: `av.open` takes paths and open files only, so no column of bytes can be trained
  from; players and `datasets` read this one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from curate.writers.built import REBUILD, BuiltDataset, media_file
from validators.errors import UsageFault
from validators.model import MediaKind

if TYPE_CHECKING:
    import pyarrow as pa

SHARD_BYTES = 200_000_000
GROUP_BYTES = 16_000_000
"""A row group is closed at this size: the most that one writer, or one reader of a row group, holds."""
SPLIT = "train"
TEXT_COLUMNS = ("system", "tools", "split", "source", "meta")


class Features(Protocol):
    """What is used here of `datasets.Features`, which has no types of its own."""

    @property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema, with the features in its metadata."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A written parquet file."""

    path: Path
    rows: int
    bytes: int


def write_shards(
    dataset: BuiltDataset,
    media_root: Path,
    folder: Path,
    shard_bytes: int = SHARD_BYTES,
    group_bytes: int = GROUP_BYTES,
) -> tuple[Shard, ...]:
    """Write `train-0000i-of-0000n.parquet` files into a folder; media are read row by row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    table = open_arrow(dataset)
    schema = features_of(dataset, table.column_names).arrow_schema
    written: list[tuple[Path, int]] = []
    writer: pq.ParquetWriter | None = None
    rows = size = 0
    for group, weight in groups(embedded_rows(dataset, table, schema.names, media_root), group_bytes):
        if writer is None:
            path = folder / f"part-{len(written):05d}"
            writer = pq.ParquetWriter(path, schema)
            rows = size = 0
        writer.write_table(pa.Table.from_pylist(group, schema=schema))
        rows, size = rows + len(group), size + weight
        if size >= shard_bytes:
            writer.close()
            writer = None
            written.append((path, rows))
    if writer is not None:
        writer.close()
        written.append((path, rows))
    total = sum(count for _, count in written)
    if total != dataset.rows:
        raise UsageFault(dataset.arrow, f"{total} rows", f"{dataset.rows}, as the manifest says", REBUILD)
    return tuple(numbered(path, index, len(written), count) for index, (path, count) in enumerate(written))


def numbered(path: Path, index: int, total: int, rows: int) -> Shard:
    """Give a shard its name, now that their number is known."""
    target = path.with_name(f"{SPLIT}-{index:05d}-of-{total:05d}.parquet")
    path.rename(target)
    return Shard(target, rows, target.stat().st_size)


def groups(rows: Iterator[tuple[dict[str, Any], int]], limit: int) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """Rows in lists of about `limit` bytes, with the bytes."""
    group: list[dict[str, Any]] = []
    weight = 0
    for row, size in rows:
        group.append(row)
        weight += size
        if weight >= limit:
            yield group, weight
            group, weight = [], 0
    if group:
        yield group, weight


def embedded_rows(
    dataset: BuiltDataset,
    table: Any,  # noqa: ANN401 (a datasets.Dataset)
    columns: list[str],
    media_root: Path,
) -> Iterator[tuple[dict[str, Any], int]]:
    """Rows with paths replaced by media, and each row's weight in bytes."""
    for row in table:
        out = {name: row[name] for name in columns}
        size = 1024 + sum(len(message["content"] or "") for message in row["messages"])
        for kind in dataset.kinds:
            media = [(path, read_media(dataset, path, media_root)) for path in row[kind.column] or ()]
            size += sum(len(data) for _, data in media)
            as_bytes = kind is MediaKind.AUDIO
            out[kind.column] = [data if as_bytes else {"bytes": data, "path": path} for path, data in media]
        yield out, size


def read_media(dataset: BuiltDataset, relative: str, media_root: Path) -> bytes:
    """A media file's bytes, which must be those that the build saw."""
    if relative not in dataset.media:
        raise UsageFault(dataset.arrow, f"media {relative} is not in the manifest", "built media only", REBUILD)
    data = media_file(media_root, relative, dataset.arrow).read_bytes()
    if hashlib.sha256(data).hexdigest() != dataset.media[relative]:
        raise UsageFault(media_root / relative, "changed since the build", "the file that was checked", REBUILD)
    return data


def open_arrow(dataset: BuiltDataset) -> Any:  # noqa: ANN401 (a datasets.Dataset)
    """The built Arrow dataset, memory-mapped."""
    from datasets import Dataset, load_from_disk

    try:
        table = load_from_disk(str(dataset.arrow))
    except Exception as error:  # datasets raises many kinds for a folder that is not its own
        raise UsageFault(dataset.arrow, f"cannot be opened: {error}", "the built Arrow dataset", REBUILD) from error
    needed = {"messages", *(kind.column for kind in dataset.kinds)}
    if not isinstance(table, Dataset) or not needed <= set(table.column_names):
        raise UsageFault(dataset.arrow, "not in the canonical schema", f"columns {sorted(needed)}", REBUILD)
    return table


def features_of(dataset: BuiltDataset, columns: list[str]) -> Features:
    """The types of the pushed columns."""
    from datasets import Features as HubFeatures
    from datasets import Image, List, Value, Video

    media = {
        MediaKind.IMAGE: Image(decode=False),
        MediaKind.VIDEO: Video(decode=False),
        MediaKind.AUDIO: Value("binary"),
    }
    types: dict[str, Any] = {"id": Value("string")} if "id" in columns else {}
    types["messages"] = List({"role": Value("string"), "content": Value("string")})
    types |= {kind.column: List(media[kind]) for kind in dataset.kinds}
    types |= {name: Value("string") for name in TEXT_COLUMNS if name in columns}
    features: Features = HubFeatures(types)
    return features
