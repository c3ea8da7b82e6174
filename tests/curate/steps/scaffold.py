"""Small datasets in the canonical schema."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from curate.schema import canonical_schema
from curate.steps.run import Ledger, Named, Sink, StepCount, Table, View, passes, run_pass, written
from curate.steps.step import Surroundings


def row(number: int, answer: str = "Yes.", **media: Sequence[str]) -> dict[str, Any]:
    """A conversation of one question and one answer."""
    tags = "".join(f"<{kind[:-1]}>" * len(paths) for kind, paths in media.items())
    value: dict[str, Any] = dict.fromkeys(canonical_schema().names)
    value |= {"id": f"{number:04x}", "images": [], "videos": [], "audios": [], "source": f"s:{number}"}
    value["messages"] = [
        {"role": "user", "content": f"{tags}What is {number}?"},
        {"role": "assistant", "content": answer},
    ]
    return value | {kind: list(paths) for kind, paths in media.items()}


def frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as a step sees them."""
    made = pl.from_arrow(pa.Table.from_pylist(list(rows), schema=canonical_schema()))
    assert isinstance(made, pl.DataFrame)
    return made.with_row_index("row")


def store(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Rows as the file that steps start from."""
    sink = Sink(path)
    sink.write(frame(rows))
    sink.close()
    return path


def load(path: Path) -> list[dict[str, Any]]:
    """Rows of a file that steps wrote."""
    table = Table(path)
    try:
        return [value for batch in table.batches() for value in batch.drop("row").to_dicts()]
    finally:
        table.close()


def run_all(
    source: Path, steps: Sequence[Named], around: Surroundings, folder: Path, ledger: Ledger
) -> tuple[dict[str, Path], list[StepCount]]:
    """All passes of some steps, one after another; the files of their outputs are in the folder."""
    views: dict[str, View] = {"": View(source)}
    counts = []
    for number, lot in enumerate(passes(steps)):
        made, count = run_pass(views[""], lot, around, folder / f"pass-{number}.arrow", ledger)
        views |= made
        counts += count
    return {name: written(view, folder / f"made-{name}.arrow") for name, view in views.items()}, counts


def mapped() -> int:
    """Bytes of files in the process's memory."""
    found = re.search(r"^RssFile:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10
