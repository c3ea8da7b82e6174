"""Media entries as the rules name them: place, path and facts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from validators.budgets.families import OPENED_AT_STEP
from validators.findings import Found, Place
from validators.model import MediaKind, Outcome
from validators.probes.facts import Alteration, Health, MediaFacts, Trait, alterations, facts_schema, traits_of
from validators.rules.rule import BatchView


def altered(view: BatchView, kind: MediaKind, what: Alteration) -> Iterator[tuple[Place, str, MediaFacts]]:
    """Place, path and facts of the entries of that kind that the trainer alters in that way.

    Videos that are given as lists of pictures count among the pictures.
    """
    pictures = kind is MediaKind.IMAGE
    listed = (pl.col("kind") == MediaKind.VIDEO.value) & pl.col("listed")
    likely = view.media.filter(
        ((pl.col("kind") == kind.value) | listed if pictures else (pl.col("kind") == kind.value) & ~pl.col("listed"))
        & (pl.col("health") == Health.OK.value)
        & ((pl.col("altered") != "") | ((pl.col("frames") == 0) & (pl.col("decoded") > 0)))
    )
    for record in likely.iter_rows(named=True):
        facts = facts_in(record)
        if what in alterations(facts, view.run.settings):
            path = record["path"] or "a frame of the list"
            yield place_of(view, record["row"], record["kind"], record["slot"]), path, facts


def with_trait(view: BatchView, kind: MediaKind, trait: Trait) -> Iterator[tuple[Place, str, float]]:
    """Place, path and the trait's number of the healthy files of that kind that have it."""
    if not (view.media["traits"] != "").any():  # the usual batch, in which nothing is unusual
        return
    likely = files_of(view, kind).filter(pl.col("traits").str.contains(trait.value, literal=True))
    for row, slot, path, text in likely.select("row", "slot", "path", "traits").iter_rows():
        traits = traits_of(text)
        if trait in traits:
            yield place_of(view, row, kind.value, slot), path or "inside the data", traits[trait]


def files_of(view: BatchView, kind: MediaKind) -> pl.DataFrame:
    """The healthy entries of that kind, lists of frames left out."""
    healthy = (pl.col("kind") == kind.value) & (pl.col("health") == Health.OK.value) & ~pl.col("listed")
    return view.media.filter(healthy)


def facts_in(record: dict[str, Any]) -> MediaFacts:
    """The facts of a healthy file, back from its columns."""
    return MediaFacts(**{name: record[name] for name in facts_schema().names()} | {"health": Health.OK})


def unreadable(view: BatchView, kind: MediaKind, expected: str) -> Iterator[Found]:
    """One finding an unreadable entry of that kind."""
    for place, path, detail in entries(view, Health.UNREADABLE, kind):
        yield Found(place, f"{path}: {detail}", expected, outcome=when_opened(view))


def when_opened(view: BatchView) -> Outcome | None:
    """Where a file that cannot be opened stops the trainer: at its step, where the plugin does not look at it before;
    None for the usual place."""
    template = view.run.template
    return Outcome.CRASH_STEP if template is not None and template.plugin in OPENED_AT_STEP else None


def entries(view: BatchView, health: Health, only: MediaKind | None = None) -> Iterator[tuple[Place, str, str]]:
    """Place, path and detail of the entries in that state of health."""
    chosen = view.media.filter(pl.col("health") == health.value)
    if only is not None:
        chosen = chosen.filter(pl.col("kind") == only.value)
    for row, kind, slot, path, detail in chosen.select("row", "kind", "slot", "path", "detail").iter_rows():
        yield place_of(view, row, kind, slot), path, detail


def place_of(view: BatchView, row: int, kind: str, slot: int) -> Place:
    """`images[0]`, by the data's own column name."""
    return Place(row, f"{view.dataset.entry.media_column(MediaKind(kind))}[{slot}]")
