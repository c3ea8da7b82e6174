"""What an estimate needs of each row, gathered while the check passes over the rows: a few numbers, not the rows."""

from __future__ import annotations

import heapq
import random
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from validators.budgets.family import Crash
from validators.budgets.resize import sampled_frames
from validators.model import MediaKind
from validators.probes.cache import file_of, locate
from validators.probes.facts import Health, MediaFacts
from validators.replay.budget import RowBudget
from validators.rules.rule import BatchView
from validators.settings import TrainerSettings

SAMPLED = 24  # media of each kind, and texts, for timing


class Load(StrEnum):
    """In which way a row is the heaviest: each kind breaks in its own way."""

    TOKENS = "tokens"
    IMAGES = "images"
    FRAMES = "video frames"
    AUDIO = "seconds of sound"
    TARGET = "supervised tokens"


@dataclass(frozen=True, slots=True, order=True)
class Heavy:
    """A row and how heavy it is; `row` counts over the dataset."""

    weight: float
    dataset: str
    row: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A media file, for timing."""

    kind: MediaKind
    file: Path


@dataclass(slots=True)
class Lengths:
    """One dataset's rows in order: tokens and supervised tokens after truncation, 0 where a row is dropped or where
    they are not known."""

    tokens: array[int] = field(default_factory=lambda: array("q"))
    supervised: array[int] = field(default_factory=lambda: array("q"))


@dataclass(slots=True)
class Survey:
    """Sees each batch of the datasets to train on."""

    settings: TrainerSettings
    keep: int
    """How many of the heaviest rows of each kind are kept."""
    lengths: dict[str, Lengths] = field(default_factory=dict)
    heaviest: dict[Load, list[Heavy]] = field(default_factory=lambda: {load: [] for load in Load})
    """Heaps of the rows, each with its number negated: of equals the one with the higher number goes first."""
    media: Counter[MediaKind] = field(default_factory=Counter)
    """Entries of each kind."""
    frames: int = 0
    """Frames that are sampled of all videos."""
    samples: dict[MediaKind, list[Sample]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    turns: int = 0
    seen_media: Counter[MediaKind] = field(default_factory=Counter)
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def see(self, view: BatchView) -> None:
        """Take what is wanted of a batch."""
        if view.dataset.evaluates:
            return
        name = view.dataset.entry.name
        rows = view.batch.rows["row"]
        if not len(rows):
            return
        lengths = self.lengths.setdefault(name, Lengths())
        base, first = len(lengths.tokens), int(rows[0])
        lengths.tokens.extend([0] * len(rows))
        lengths.supervised.extend([0] * len(rows))
        loads = self.media_loads(view)
        for budget in view.budgets:
            if budget.exact:
                lengths.tokens[base + budget.row - first] = budget.kept.tokens
                lengths.supervised[base + budget.row - first] = budget.kept.supervised
            self.weigh(name, budget, loads.get(budget.row, {}))
        self.take_texts(view)

    def weigh(self, name: str, budget: RowBudget, loads: Mapping[Load, float]) -> None:
        """Keep a row where it is among the heaviest; a bound of its tokens is as good as a count for that."""
        limit = self.settings.effective_cutoff
        own = {Load.TOKENS: budget.kept.tokens if budget.exact else min(budget.tokens, limit)}
        if budget.exact:
            own[Load.TARGET] = budget.kept.supervised
        for load, weight in (own | dict(loads)).items():
            if weight > 0:
                self.weigh_one(load, Heavy(float(weight), name, budget.row))

    def weigh_one(self, load: Load, row: Heavy) -> None:
        """Keep a row where it is among the heaviest in this way; of equals the first are kept."""
        kept, heavy = self.heaviest[load], Heavy(row.weight, row.dataset, -row.row)
        if len(kept) < self.keep:
            heapq.heappush(kept, heavy)
        elif heavy > kept[0]:
            heapq.heapreplace(kept, heavy)

    def worst(self, load: Load) -> list[Heavy]:
        """The heaviest rows of a kind, heaviest first."""
        return [Heavy(item.weight, item.dataset, -item.row) for item in sorted(self.heaviest[load], reverse=True)]

    def media_loads(self, view: BatchView) -> dict[int, dict[Load, float]]:
        """Images, frames and seconds of sound of each row that has any; counts and samples the media on the way."""
        loads: dict[int, dict[Load, float]] = {}
        columns = ("row", "kind", "path", "health", "listed", "frames", "decoded", "duration", "samples", "rate")
        for entry in view.media.select(columns).iter_rows(named=True):
            kind = MediaKind(entry["kind"])
            self.media[kind] += 1
            load, weight = self.weight(kind, entry)
            row = loads.setdefault(entry["row"], {})
            row[load] = row.get(load, 0.0) + weight
            if load is Load.FRAMES:
                self.frames += int(weight)
            if entry["path"] and not entry["listed"] and entry["health"] == Health.OK.value:
                self.take_medium(kind, entry["path"], view.dataset.media_dir)
        return loads

    def weight(self, kind: MediaKind, entry: Mapping[str, Any]) -> tuple[Load, float]:
        """How much of its kind a medium is."""
        if kind is MediaKind.IMAGE:
            return Load.IMAGES, 1.0
        if kind is MediaKind.AUDIO:
            return Load.AUDIO, entry["samples"] / entry["rate"] if entry["rate"] else 0.0
        if entry["listed"]:
            return Load.FRAMES, float(entry["frames"])
        facts = MediaFacts(Health.OK, frames=entry["frames"], duration=entry["duration"])
        try:
            return Load.FRAMES, float(sampled_frames(facts, self.settings.video_fps, self.settings.video_maxlen))
        except Crash:  # the check names it
            return Load.FRAMES, 0.0

    def take_medium(self, kind: MediaKind, path: str, media_dir: Path) -> None:
        """Keep a file as one of an even sample of its kind."""
        self.seen_media[kind] += 1
        kept = self.samples.setdefault(kind, [])
        slot = len(kept) if len(kept) < SAMPLED else self.chance.randrange(self.seen_media[kind])
        if slot < SAMPLED and (located := locate(file_of(path, kind, media_dir), media_dir)) is not None:
            kept[slot : slot + 1] = [Sample(kind, Path(located[0]))]

    def take_texts(self, view: BatchView) -> None:
        """Keep some turns' texts."""
        texts = view.batch.turns["content"].drop_nulls()
        for at in self.chance.sample(range(len(texts)), min(len(texts), SAMPLED)):
            slot = len(self.texts) if len(self.texts) < SAMPLED else self.chance.randrange(self.turns + len(texts))
            if slot < SAMPLED:
                self.texts[slot : slot + 1] = [texts[at]]
        self.turns += len(texts)
