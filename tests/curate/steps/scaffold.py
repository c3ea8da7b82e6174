"""Small datasets in the canonical schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from curate.schema import canonical_schema
from curate.steps.run import Ledger, Named, Sink, StepCount, Table, passes, run_pass
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
    outputs, counts = {"": source}, []
    for number, lot in enumerate(passes(steps)):
        made, count = run_pass(outputs[""], lot, around, lambda name, at=number: folder / f"{at}-{name}.arrow", ledger)
        outputs |= made
        counts += count
    return outputs, counts
