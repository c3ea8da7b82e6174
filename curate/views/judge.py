"""A row by itself: what is in it, what its media are, and what the trainer makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import polars as pl

from curate.views.codecs import codec_of
from curate.views.stats_words import bytes_in_words
from validators.engine import make_budgeter, report
from validators.findings import Finding
from validators.gallery import Gallery, Stock, describe
from validators.look import look_at
from validators.model import MediaKind
from validators.policy import Policy
from validators.previews.make import open_regular
from validators.probes.cache import ProbeCache, file_of, locate
from validators.probes.facts import Health
from validators.replay.budget import Budgeter
from validators.report.shown import ShownRow
from validators.rules.rule import BatchView, RunView, Scope
from validators.sources.batch import Census
from validators.sources.chunks import Chunk
from validators.sources.flatten import flatten
from validators.sources.target import DatasetPlan
from validators.tally import Tally


@dataclass(frozen=True, slots=True)
class ViewedTurn:
    """A turn by its place in the row, `messages[3]`, with its whole text; the role is the data's own word."""

    place: str
    role: str
    canon: str
    text: str


@dataclass(frozen=True, slots=True)
class ViewedMedium:
    """A medium by its place, `images[0]`; what is known of it, in words, and whether it is well."""

    place: str
    path: str
    facts: str
    well: bool


@dataclass(frozen=True, slots=True)
class ViewedRow:
    """A row, and what rules find in it. `shown` has its outcome, its tokens, and what fits on a page."""

    dataset: str
    shown: ShownRow
    line: int | None
    turns: tuple[ViewedTurn, ...]
    tools: str
    media: tuple[ViewedMedium, ...]
    findings: tuple[Finding, ...]
    raw: str
    """The row as it is, where it is no conversation; else empty."""


@dataclass(slots=True)
class Judge:
    """Judges one row at a time, under one run's settings."""

    run: RunView
    policy: Policy
    probes: ProbeCache = field(default_factory=ProbeCache)
    stock: Stock = field(default_factory=Stock)
    budgeter: Budgeter | None = field(init=False)

    def __post_init__(self) -> None:
        self.budgeter = make_budgeter(self.run, keep_skeletons=False)

    def rows(self, chosen: Iterable[tuple[DatasetPlan, Chunk]]) -> Iterator[ViewedRow]:
        """Each chosen row."""
        for dataset, chunk in chosen:
            yield self.row(dataset, chunk)

    def row(self, dataset: DatasetPlan, chunk: Chunk) -> ViewedRow:
        """A chunk of one row. Faults of the whole dataset or run are not looked for."""
        census = Census()
        # a row without messages is judged as one among rows that have them
        census.columns[dataset.entry.columns["messages"] or ""] += 1
        view = look_at(self.run, dataset, flatten(chunk, dataset.entry, census), self.probes, self.budgeter)
        tally, found = Tally(), list[Finding]()
        shift, number = chunk.start - chunk.first, chunk.start
        for budget in view.budgets:
            tally.add(budget, self.run.settings.effective_cutoff)
        report(view, (Scope.ROW, Scope.MEDIA), chunk.path, dataset, tally, found, shift)
        gallery = Gallery(self.stock, None)
        gallery.found = gallery.rows_of(view, str(chunk.path), shift, {number})
        readable = all(view.batch.rows["readable"])
        return ViewedRow(
            dataset.entry.name,
            gallery.rows(tally.fate)[0],
            view.line(number),
            tuple(turns_of(view)),
            next(iter(view.batch.rows["tools"].drop_nulls()), ""),
            tuple(medium_of(view, entry) for entry in view.media.iter_rows(named=True)),
            self.policy.applied(found),
            "" if readable else repr(chunk.raw_rows()[0].value),
        )


def turns_of(view: BatchView) -> Iterator[ViewedTurn]:
    """The row's turns."""
    named = view.batch.turns.with_columns(pl.col("role").fill_null(""), pl.col("content").fill_null(""))
    for row, turn, role, canon, text in named.select("row", "turn", "role", "canon", "content").iter_rows():
        yield ViewedTurn(view.place(row, turn), role, canon or "", text)


def medium_of(view: BatchView, entry: dict[str, Any]) -> ViewedMedium:
    """A media entry's facts: `64 × 48 · JPEG · 1.2 kB · ok`."""
    kind, key = MediaKind(entry["kind"]), (entry["row"], entry["slot"])
    data = view.batch.inside.get((entry["row"], entry["kind"], entry["slot"]))
    frames = view.batch.frames.get(key, ())
    located = (
        locate(file_of(entry["path"], kind, view.dataset.media_dir), view.dataset.media_dir)
        if entry["path"] and not frames
        else None
    )
    size = len(data) if data is not None else None if located is None else located[1].st_size
    well = entry["health"] == Health.OK.value and not entry["outside"]
    codec = coded(kind, data, None if located is None else located[0]) if well else ""
    facts = [describe(kind, entry)] if entry["health"] == Health.OK.value else []
    facts += [word for word in (entry["form"], codec) if word]
    facts += [bytes_in_words(size)] if size is not None else []
    facts += [entry["health"]] + ([entry["detail"]] if entry["detail"] else [])
    facts += ["outside the media root"] if entry["outside"] else []
    name = view.dataset.entry.media_column(kind) or kind.column
    path = f"{frames[0]} and {len(frames) - 1} more frames" if frames else entry["path"] or ""
    return ViewedMedium(f"{name}[{entry['slot']}]", path, " · ".join(facts), well)


def coded(kind: MediaKind, data: bytes | None, file: str | None) -> str:
    """How a medium is coded: bytes inside the row, or a file."""
    if data is None and file is None:
        return ""
    with suppress(OSError), BytesIO(data) if data is not None else open_regular(str(file)) as opened:
        return codec_of(kind, opened)
    return ""
