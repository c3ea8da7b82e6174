"""`mix`: one dataset out of several, by weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from curate.steps.order import draws


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of the datasets by weight, in all `total` units: rows, or what the column `unit` counts.

    Without `total` the mixture is as large as its scarcest dataset lets it be without a row taken twice. With it,
    rows are taken again only if `repeat` says so; else the dataset gives all it has.
    """

    weights: tuple[tuple[str, float], ...]
    total: int | None = None
    unit: str | None = None
    repeat: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """The mixture's rows in their final order: the dataset's name, and the row's number in it.

    missing: units that a dataset lacks for its share, by name; empty where all are full.
    """

    rows: pl.DataFrame
    missing: Mapping[str, int]


def mix(recipe: Mix, datasets: Mapping[str, pl.DataFrame]) -> Drawn:
    """Draw the rows. Frames have row and id, and the column that `unit` names."""
    sizes = {name: int(weigh(recipe, datasets[name])["size"].sum()) for name, _ in recipe.weights}
    whole = sum(weight for _, weight in recipe.weights)
    most = min(sizes[name] * whole / weight for name, weight in recipe.weights)
    total = recipe.total if recipe.total is not None else int(most)
    parts, missing = [], {}
    for name, share in shares(recipe.weights, total).items():
        part, lacking = draw_from(recipe, name, datasets[name], share)
        parts.append(part)
        if lacking:
            missing[name] = lacking
    return Drawn(pl.concat(parts).sort("key", "dataset", "row", "round").select("dataset", "row"), missing)


def shares(weights: tuple[tuple[str, float], ...], total: int) -> dict[str, int]:
    """Whole numbers that add up to the total, by largest remainder."""
    whole = sum(weight for _, weight in weights)
    exact = {name: total * weight / whole for name, weight in weights}
    result = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda each: (result[each] - exact[each], each))[: total - sum(result.values())]:
        result[name] += 1
    return result


def weigh(recipe: Mix, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with what each counts for."""
    size = pl.col(recipe.unit).fill_null(0).cast(pl.Int64) if recipe.unit else pl.lit(1, pl.Int64)
    return rows.select("row", "id", size.alias("size"))


def draw_from(recipe: Mix, name: str, rows: pl.DataFrame, share: int) -> tuple[pl.DataFrame, int]:
    """One dataset's part, in rounds: each takes every row at most once; what is still lacking."""
    weighed = weigh(recipe, rows)
    size = int(weighed["size"].sum())
    rounds: list[pl.DataFrame] = []
    lacking, exhausted = share, size == 0
    while lacking > 0 and size > 0 and (not rounds or recipe.repeat):
        number = len(rounds)
        keys = pl.Series("key", draws(recipe.seed + number, (f"{name}:{each}" for each in rows["id"])), pl.UInt64)
        keyed = weighed.with_columns(keys).sort("key", "row")
        # a row goes in if the larger part of it still fits
        taken = keyed.filter(pl.col("size").cum_sum() - pl.col("size") / 2 <= lacking)
        if taken.is_empty():
            break
        lacking -= int(taken["size"].sum())
        rounds.append(taken.with_columns(dataset=pl.lit(name), round=pl.lit(number)))
        exhausted = len(taken) == len(keyed)
        if not exhausted:
            break
    empty = pl.DataFrame(schema={"row": rows.schema["row"], "id": pl.String, "size": pl.Int64, "key": pl.UInt64})
    found = pl.concat(rounds) if rounds else empty.with_columns(dataset=pl.lit(name), round=pl.lit(0))
    return found, max(lacking, 0) if exhausted else 0
