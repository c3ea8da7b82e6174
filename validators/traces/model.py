"""The traces of a run: one line for each sound row, one for each of its media."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from validators.findings import Place
from validators.model import MediaKind
from validators.sources.loading import Loader
from validators.sources.target import DatasetPlan
from validators.traces.pictures import Copies
from validators.traces.shingles import BANDS

ROWS = pl.Schema(
    {
        "dataset": pl.UInt16,
        "row": pl.UInt32,
        "line": pl.UInt32,
        "question": pl.UInt64,
        "answer": pl.UInt64,
        "media": pl.UInt64,
        "size": pl.UInt32,
    }
)
MEDIA = pl.Schema({"dataset": pl.UInt16, "row": pl.UInt32, "kind": pl.UInt8, "slot": pl.UInt16, "identity": pl.UInt64})
FILES = pl.Schema({"kind": pl.UInt8, "identity": pl.UInt64, "path": pl.String})
TEXTS = pl.Schema(
    [
        ("dataset", pl.UInt16()),
        ("row", pl.UInt32()),
        ("keys", pl.Array(pl.UInt32, BANDS)),
        ("answer_keys", pl.Array(pl.UInt32, BANDS)),
    ]
)
KIND_NAMES = list(MediaKind)
TALK = ["question", "answer", "media"]


@dataclass(frozen=True, slots=True)
class Traced:
    """A dataset of the run, and the reading of its files, which knows where a row stands."""

    plan: DatasetPlan
    loader: Loader

    @property
    def name(self) -> str:
        """Its name in dataset_info.json."""
        return self.plan.entry.name


@dataclass(frozen=True, slots=True, eq=False)
class Traces:
    """What is remembered of all datasets, in the order of the run.

    rows: rows that the converter keeps; question, answer and media are hashes (media 0 for none), size the characters
    of all answers, line 0 where it is not known. media: the entries of these rows.

    Only at depth decode: files, the place of each distinct medium that is a file; pictures, the identities of images
    that could be read, and copies, their small grey copies; texts, the MinHash keys of rows that are long enough, and
    of their answers.
    """

    datasets: Sequence[Traced]
    rows: pl.DataFrame
    media: pl.DataFrame
    files: pl.DataFrame
    pictures: pl.Series
    copies: Copies
    texts: pl.DataFrame

    def place(self, dataset: int, row: int, line: int = 0, path: str = "") -> tuple[str, Place]:
        """A row's file, and its place there."""
        file, number = self.datasets[dataset].loader.locate(row)
        return str(file), Place(number, path, line or None)

    def words(self, dataset: int, row: int, beside: str = "") -> str:
        """`row 12`, and of which file where that is another one than `beside`."""
        file, place = self.place(dataset, row)
        return f"row {place.row}" if file == beside else f"row {place.row} of {file}"

    @property
    def learned(self) -> list[int]:
        """The datasets to train on."""
        return [number for number, each in enumerate(self.datasets) if not each.plan.evaluates]

    @property
    def evaluated(self) -> list[int]:
        """The datasets to evaluate with."""
        return [number for number, each in enumerate(self.datasets) if each.plan.evaluates]

    def lined(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with `line`, of its dataset and row."""
        lines = self.rows.select("dataset", "row", "line")
        return frame.join(lines, on=["dataset", "row"], how="left", maintain_order="left")

    def bytes_held(self) -> int:
        """The size of all tables in memory."""
        frames = (self.rows, self.media, self.files, self.texts)
        return int(sum(frame.estimated_size() for frame in frames)) + self.copies.nbytes
