"""What the parts of a build do: rows read, joined, mixed and written, as files of one folder; what each came to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.build import SAME, LedgerEntry, build_rows
from curate.media.keeper import Keeper
from curate.recipe import DatasetRecipe, Recipe
from curate.steps.columns import with_columns
from curate.steps.mix import Mix, mix
from curate.steps.run import Sink, StepCount, Table, View, written
from curate.steps.step import Surroundings
from curate.writers.arrow import ArrowWriter, save_to_disk
from curate.writers.form import Form
from curate.writers.layout import ARROW, Layout
from curate.writers.outputs import write_output
from validators.model import MediaKind

ROWS, LEDGER = "rows.stream", "ledger.jsonl"
Progress = Callable[[str, int], None]
"""Told a dataset's name, and how many of its rows have passed."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Why a step dropped a row."""

    dataset: str
    step: str
    reason: str


def read_rows(
    recipe: Recipe, dataset: DatasetRecipe, keeper: Keeper, folder: Path, progress: Progress
) -> dict[str, object]:
    """Rows and ledger of a dataset's sources, as files; what they came to."""
    dropped: Counter[str] = Counter()
    changed = kept = 0
    left: dict[str, str] = {}
    with (
        ArrowWriter(folder / ROWS) as arrow,
        (folder / LEDGER).open("w", encoding="utf-8", errors="backslashreplace") as ledger,
    ):
        for number, item in enumerate(build_rows(recipe, dataset, keeper)):
            progress(dataset.name, number)
            if not isinstance(item, LedgerEntry):
                kept += 1
                arrow.write(item)
                continue
            write_entry(ledger, item)
            if item.action == "dropped":
                dropped[item.counted] += 1
            elif item.row is None:
                left[item.source] = item.reason
            else:
                changed += 1
    return {"kept": kept, "changed": changed, "dropped": dropped, "left": left}


def join_streams(streams: Sequence[Path], folder: Path, dataset: str) -> dict[str, object]:
    """Rows of several sources as one stream, those left out that are in an earlier one."""
    tables = [Table(stream) for stream in streams]
    ids = pl.concat([rows["id"] for table in tables for rows in table.batches()] or [pl.Series("id", [], pl.String)])
    is_first = ids.is_first_distinct()
    doubled = set(ids.filter(~is_first).unique())
    places: dict[str, str] = {}
    sink = Sink(folder / ROWS)
    at = 0
    with (folder / LEDGER).open("w", encoding="utf-8", errors="backslashreplace") as ledger:
        for table in tables:
            for rows in table.batches():
                fresh = is_first.slice(at, len(rows))
                at += len(rows)
                if doubled:
                    told = rows.select("id", "source", fresh=fresh).filter(pl.col("id").is_in(doubled))
                    for identity, place, is_new in told.iter_rows():
                        if is_new:
                            places[identity] = place
                            continue
                        name, _, row = place.rpartition(":")
                        reason = f"{SAME} {places[identity]}"
                        write_entry(ledger, LedgerEntry(dataset, name, int(row), identity, "dropped", reason))
                sink.write(rows[np.flatnonzero(fresh.to_numpy())])
            table.close()
    sink.close()
    return {"doubles": len(ids) - sink.rows}


def write_rejects(file: Path, view: View, gone: Mapping[int, Reject]) -> None:
    """The rows that steps dropped, whole, as they were before the steps, each with its reason."""
    table = Table(view.path)
    with file.open("w", encoding="utf-8") as out:
        for rows in view.take(table, pl.Series(sorted(gone), dtype=pl.UInt32)) if gone else ():
            for value in rows.to_dicts():
                row = {name: item for name, item in value.items() if name != "row" and item not in (None, [])}
                out.write(json.dumps(asdict(gone[value["row"]]) | row, ensure_ascii=False) + "\n")
    table.close()


def mix_rows(recipe: Mix, views: Mapping[str, View], target: Path, around: Surroundings) -> dict[str, object]:
    """Draw a mixture's rows and write them."""
    tables = {name: Table(view.path) for name, view in views.items()}
    wanted = [recipe.unit] if recipe.unit else []
    facts = {
        name: pl.concat(
            [
                with_columns(rows, wanted, around).select("row", "id", *wanted)
                for rows in view.batches(tables[name])
                if len(rows)
            ]
            or [pl.DataFrame(schema={"row": pl.UInt32, "id": pl.String} | dict.fromkeys(wanted, pl.Int64))]
        )
        for name, view in views.items()
    }
    drawn = mix(recipe, facts)
    sink = Sink(target, checked=False)  # as they were checked when they were written to the datasets' files
    for part in drawn.rows.iter_slices(min(table.stretch for table in tables.values())):
        placed = part.with_row_index("place")
        lots = [
            pl.concat(views[str(name)].take(tables[str(name)], own["row"])).with_columns(own["place"])
            for (name,), own in placed.group_by("dataset")
        ]
        sink.write(pl.concat(lots).sort("place"))
    sink.close()
    for table in tables.values():
        table.close()
    counts = Counter(drawn.rows["dataset"])
    return {"rows": sink.rows, "parts": {name: counts[name] for name in views}, "missing": drawn.missing}


def write_dataset(name: str, view: View, layout: Layout, folder: Path) -> dict[str, object]:
    """Rows as an Arrow folder and the trainer's files; what they hold."""
    rows, form, paths = survey(view)
    stream = written(view, folder.with_name(ROWS))
    # a second pass over the rows on disk: only now is it known which columns every row must have
    data = [asdict(file) for file in write_output(name, stream, form, layout, folder)]
    save_to_disk(stream, folder / ARROW / name)
    if stream != view.path:
        stream.unlink()
    facts: dict[str, object] = {"kinds": form.kinds, "tools": form.tools, "roles": sorted(form.roles)}
    return facts | {"rows": rows, "data": data, "paths": sorted(paths)}


def survey(view: View) -> tuple[int, Form, set[str]]:
    """How many rows, which columns and roles they use, and their media."""
    kinds: set[MediaKind] = set()
    roles: set[str] = set()
    paths: set[str] = set()
    tools = False
    count = 0
    table = Table(view.path)
    for rows in view.batches(table):
        count += len(rows)
        tools |= rows["tools"].null_count() < len(rows)
        roles.update(rows["messages"].explode().drop_nulls().struct.field("role").unique())
        for kind in MediaKind:
            named = rows[kind.column].explode().drop_nulls().unique()
            paths.update(named)
            kinds |= {kind} if len(named) else set()
    table.close()
    return count, Form(tuple(kind for kind in MediaKind if kind in kinds), tools, frozenset(roles)), paths


def plain_count(count: StepCount) -> dict[str, object]:
    """A step's counts as JSON holds them."""
    # asdict would make a Counter out of a Counter's pairs
    return {"step": count.step, "before": count.before, "after": count.after, "changed": count.changed} | {
        "reasons": dict(count.reasons)
    }


def write_entry(ledger: Any, entry: LedgerEntry) -> None:  # noqa: ANN401 (a text file)
    """A line of the ledger."""
    ledger.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
