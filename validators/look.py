"""From a batch of rows to what the rules look at: media facts beside the entries, and token budgets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import polars as pl

from validators.model import MediaKind, Role
from validators.probes.cache import ProbeCache, file_of
from validators.probes.facts import Health, MediaFacts, facts_schema, of_frames
from validators.replay.align import misplaced, tag_balance, turn_counts
from validators.replay.budget import Budgeter, Conversation
from validators.rules.oddities import odd_turns
from validators.rules.rule import BatchView, Depth, RunView
from validators.settings import TrainerSettings
from validators.sources.batch import Batch
from validators.sources.target import DatasetPlan


def look_at(
    run: RunView, dataset: DatasetPlan, batch: Batch, probes: ProbeCache, budgeter: Budgeter | None
) -> BatchView:
    """Everything that rules may want to know of a batch."""
    if run.depth is Depth.SHAPE:
        facts, media = unseen(batch)
    else:
        facts, media = probe(batch, dataset.media_dir, probes, run.settings)
    view = BatchView(
        run,
        dataset,
        batch,
        media,
        misplaced(batch, dataset.entry),
        turn_counts(batch),
        tag_balance(batch),
        odd_turns(batch.turns),
        (),
    )
    if budgeter is None:
        return view
    return replace(view, budgets=tuple(budgeter.count(list(conversations(view, facts, budgeter.takes)))))


def probe(
    batch: Batch, media_dir: Path, probes: ProbeCache, settings: TrainerSettings
) -> tuple[list[MediaFacts], pl.DataFrame]:
    """The facts of each media entry, as objects and as columns beside the entries.

    For a list of frames, the path beside it is that of the first frame that is not well.
    """
    if probes.whole:
        probes.prepare(files(batch), media_dir)
    facts: list[MediaFacts] = []
    outside: list[bool] = []
    shown: list[str | None] = []
    for row, name, slot, path in batch.media.select("row", "kind", "slot", "path").iter_rows():
        paths: tuple[str, ...] = (path,) if path is not None else ()
        if path is None and name == MediaKind.VIDEO.value:
            paths = batch.frames.get((row, slot), ())
        kind = MediaKind.IMAGE if path is None else MediaKind(name)
        found = [probes.facts(kind, each, media_dir) for each in paths]
        data = batch.inside.get((row, name, slot))
        if path is not None:
            facts.append(found[0])
        elif data is not None:
            facts.append(probes.facts_inside(MediaKind(name), data))
        else:
            facts.append(of_frames(found, settings) if found else MediaFacts(Health.EMBEDDED))
        sick = (each for each, fact in zip(paths, found, strict=True) if fact.health is not Health.OK)
        shown.append(path if path is not None else next(sick, None))
        outside.append(any(probes.is_outside(file_of(each, kind, media_dir), media_dir) for each in paths))
    return facts, beside(batch, facts, shown, outside)


def files(batch: Batch) -> Iterator[tuple[MediaKind, str]]:
    """The files that a batch names, frames of listed videos among them."""
    for name, path in batch.media.filter(pl.col("path").is_not_null()).select("kind", "path").iter_rows():
        yield MediaKind(name), path
    for paths in batch.frames.values():
        yield from ((MediaKind.IMAGE, path) for path in paths)


def unseen(batch: Batch) -> tuple[list[MediaFacts], pl.DataFrame]:
    """The media entries without a look at any file: what they stand for is taken to be well."""
    facts = [MediaFacts(Health.OK)] * len(batch.media)
    return facts, beside(batch, facts, batch.media["path"].to_list(), [False] * len(facts))


def beside(batch: Batch, facts: list[MediaFacts], shown: list[str | None], outside: list[bool]) -> pl.DataFrame:
    """The media entries with the path that findings name, their facts, `listed` and `outside`."""
    columns = pl.DataFrame(
        {name: [getattr(fact, name) for fact in facts] for name in facts_schema().names()},
        schema=facts_schema(),
    )
    listed = [(row, slot) in batch.frames for row, slot in batch.media.select("row", "slot").iter_rows()]
    named = batch.media.with_columns(pl.Series("path", shown, dtype=pl.String), pl.Series("listed", listed, pl.Boolean))
    return named.hstack(columns).with_columns(pl.Series("outside", outside, dtype=pl.Boolean))


def conversations(view: BatchView, facts: list[MediaFacts], takes: frozenset[Health]) -> Iterator[Conversation]:
    """The rows that reach the tokenizer: readable, in order, tags in balance, every file in a state that it takes."""
    sound = view.turn_counts.filter((pl.col("n") > 0) & (pl.col("n") % 2 == 0))
    sound = sound.join(view.misplaced, on="row", how="anti")
    template = view.run.template
    if template is not None and template.takes_media:
        unequal = view.tag_balance.filter(pl.col("tags") != pl.col("entries"))
        sound = sound.join(unequal, on="row", how="anti")
    faulty = {fault.row for fault in view.batch.faults}
    refused = [kind.value for kind in MediaKind if template is not None and not template.accepts(kind)]
    healthy = pl.col("health").is_in([health.value for health in takes])
    sick = view.media.filter(~healthy | pl.col("kind").is_in(refused))
    rows = set(sound.join(sick, on="row", how="anti")["row"]) - faulty
    media: dict[int, dict[MediaKind, list[MediaFacts]]] = {}
    for (row, kind), fact in zip(view.media.select("row", "kind").iter_rows(), facts, strict=True):
        if row in rows:
            media.setdefault(row, {}).setdefault(MediaKind(kind), []).append(fact)
    tools = dict(view.batch.rows.select("row", "tools").iter_rows())
    turns = view.batch.turns.select("row", "turn", "canon", "content", "system").iter_rows()
    for row, group in groupby(turns, key=itemgetter(0)):
        if row in rows:
            system = ""
            spoken: list[tuple[int, Role, str]] = []
            for _, turn, canon, content, is_system in group:
                if is_system:
                    system = content or ""
                else:
                    spoken.append((turn, Role(canon), content or ""))
            yield Conversation(row, spoken, system, tools.get(row) or "", media.get(row, {}))
