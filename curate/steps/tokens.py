"""Rows counted as the trainer will count them: the check's own replay, on rows that are not yet a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from curate.schema import canonical_schema
from curate.steps.columns import probes
from curate.writers.dataset_info import entry
from curate.writers.form import Form
from validators.budgets.family import Crash
from validators.engine import CheckOptions, make_budgeter, run_of
from validators.errors import UsageFault
from validators.llamafactory.environment.run import in_environment
from validators.look import look_at
from validators.model import MediaKind, Role
from validators.probes.cache import ProbeCache
from validators.probes.facts import MediaFacts
from validators.replay.budget import Budgeter, RowBudget
from validators.rules.rule import RunView
from validators.settings import read_yaml, settings_of
from validators.sources.batch import Census
from validators.sources.chunks import Chunk
from validators.sources.dataset_info import parse_entry
from validators.sources.flatten import flatten
from validators.sources.target import CheckPlan, DatasetPlan

if TYPE_CHECKING:
    import polars as pl

FORM = Form(tuple(MediaKind), tools=True, roles=frozenset(Role))
"""All that a canonical row may have."""
COLUMNS = ("messages", *(kind.column for kind in MediaKind), "tools")


@dataclass(frozen=True, slots=True)
class Counting:
    """A template, its tokenizer and the settings of one training."""

    run: RunView
    budgeter: Budgeter
    dataset: DatasetPlan
    probes: ProbeCache

    @property
    def cutoff_len(self) -> int:
        """The longest row that stays whole."""
        return self.run.settings.effective_cutoff

    def budgets(self, rows: pl.DataFrame) -> list[RowBudget]:
        """The budgets of the rows that can be counted, by position in the frame; rows that the trainer refuses have
        none."""
        batch = flatten(chunk_of(rows), self.dataset.entry, Census())
        return list(look_at(self.run, self.dataset, batch, self.probes, self.budgeter).budgets)

    def with_videos(self, budget: RowBudget, videos: Mapping[int, MediaFacts]) -> int | None:
        """A counted row's tokens if some of its videos, by slot, were as these facts say; None where the trainer would
        refuse it, or stop at its step as it does not now, or where only the whole row can be counted."""
        skeleton = budget.skeleton
        if skeleton is None:
            return None
        media = tuple(
            replace(medium, placed=replace(medium.placed, facts=videos.get(medium.placed.slot, medium.placed.facts)))
            if medium.placed.kind is MediaKind.VIDEO
            else medium
            for medium in skeleton.media
        )
        family = self.budgeter.family
        if family is not None and not budget.step_fault and family.step_fault([medium.placed for medium in media]):
            return None
        try:
            return self.budgeter.recount(replace(skeleton, media=media))[0]
        except Crash:
            return None


def chunk_of(rows: pl.DataFrame) -> Chunk:
    """Rows as the check takes them; each one's number is its place in the frame."""
    whole = canonical_schema()
    table = rows.select(COLUMNS).to_arrow().cast(pa.schema([whole.field(name) for name in COLUMNS]))
    return Chunk(Path("recipe"), 0, 0, (), table)


def counting(train_yaml: Path, media_root: Path) -> Counting:
    """How a train yaml's trainer counts; UsageFault where it names no template, or one whose tokens are not known."""
    settings = in_environment(settings_of(read_yaml(train_yaml), str(train_yaml)))
    dataset = DatasetPlan(parse_entry("recipe", entry("recipe", FORM)), None, (), media_root)
    run = run_of(CheckPlan(str(train_yaml), settings, ()), CheckOptions())
    budgeter = make_budgeter(run, keep_skeletons=True)
    if budgeter is None:
        raise UsageFault(train_yaml, f"template {settings.template!r}", "a template that the trainer knows")
    if run.counter is None:
        raise UsageFault(
            train_yaml,
            f"no tokenizer for {settings.model!r}",
            "a model folder with tokenizer.json",
            "name a local folder in model_name_or_path",
        )
    return Counting(run, budgeter, dataset, probes())
