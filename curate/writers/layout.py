"""How a build lays a dataset out for the trainer: the kind of its files, and where one file ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SHARD_BYTES = 200_000_000
ARROW = "arrow"
"""The folder of the canonical rows, a dataset in each of its folders."""


class Kind(StrEnum):
    """A kind of file that LLaMA-Factory 0.9.5 loads and that holds whole conversations (FILEEXT2TYPE)."""

    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ARROW = "arrow"


@dataclass(frozen=True, slots=True)
class Layout:
    """One file, NAME.json or NAME.jsonl, or a folder of shards, NAME/part-00000.parquet and so on.

    shard_rows: the rows of each shard but the last. shard_bytes: a shard that has grown to so many is closed.
    JSON Lines have shards only where one of them is given; Parquet and Arrow close at SHARD_BYTES where none is.
    """

    kind: Kind = Kind.JSON
    shard_rows: int | None = None
    shard_bytes: int | None = None

    @property
    def in_folder(self) -> bool:
        """Whether the files lie in a folder of the dataset's name."""
        return self.kind in (Kind.PARQUET, Kind.ARROW) or bool(self.shard_rows or self.shard_bytes)

    @property
    def most_bytes(self) -> int | None:
        """The size at which a shard is closed, None where size does not matter."""
        if self.shard_rows or not self.in_folder:
            return None
        return self.shard_bytes or SHARD_BYTES

    def file_name(self, name: str) -> str:
        """What `file_name` in dataset_info.json is: the file, or the folder."""
        return name if self.in_folder else f"{name}.{self.kind}"

    def part(self, name: str, number: int | str) -> str:
        """A file's path from the target; the number may be a pattern."""
        if not self.in_folder:
            return self.file_name(name)
        return (
            f"{name}/part-{number:05d}.{self.kind}" if isinstance(number, int) else f"{name}/part-{number}.{self.kind}"
        )
