"""What is in datasets, counted in one pass over their rows: text, media, tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from io import BytesIO
from typing import Any, BinaryIO

import polars as pl

from curate.views.codecs import codec_of
from curate.views.numbers import Common, Spread
from validators.engine import BATCH_ROWS, make_budgeter
from validators.look import look_at
from validators.model import MediaKind, Role
from validators.previews.make import open_regular
from validators.probes.cache import ProbeCache, file_of, locate
from validators.probes.facts import Health
from validators.replay.course import Course
from validators.rules.rule import BatchView, RunView
from validators.sources.batch import Census
from validators.sources.flatten import flatten
from validators.sources.selection import batches, intervals

REFUSED = "rows that the trainer does not take (curate check says why)"
TAGS = "|".join(kind.tag for kind in MediaKind)
SIZES = {"width": "I", "height": "I", "aspect": "d", "megapixels": "d"}
NUMBERS = {
    MediaKind.IMAGE: SIZES,
    MediaKind.VIDEO: SIZES | {"duration": "d", "fps": "d", "frames": "I"},
    MediaKind.AUDIO: {"duration": "d", "rate": "I"},
}


@dataclass(slots=True)
class MediaStats:
    """The media of one modality. All but `entries` counts each file once, however many rows name it."""

    kind: MediaKind
    entries: int = 0
    distinct: int = 0
    health: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    codecs: Counter[str] = field(default_factory=Counter)
    sizes: Spread = field(default_factory=lambda: Spread("Q"))
    """Bytes of each file, or of each medium inside the rows."""
    numbers: dict[str, Spread] = field(init=False)
    """Facts of the healthy ones by name, as far as their headers tell."""
    seen: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.numbers = {name: Spread(code) for name, code in NUMBERS[self.kind].items()}

    def see(self, view: BatchView, media: pl.DataFrame) -> None:
        """Take the entries of one batch; each distinct path is looked up once."""
        self.entries += media.height
        plain = media.filter(pl.col("path").is_not_null() & ~pl.col("listed"))
        for entry in plain.unique("path", maintain_order=True).iter_rows(named=True):
            path = str(entry["path"])
            if self.is_new("path", str(view.dataset.media_dir), path):
                located = locate(file_of(path, self.kind, view.dataset.media_dir), view.dataset.media_dir)
                if located is None:
                    self.note(entry, None, None)
                elif self.is_new("file", f"{located[1].st_dev}:{located[1].st_ino}"):
                    self.note(entry, located[1].st_size, partial(open_regular, located[0]))
        for entry in media.filter(pl.col("path").is_null() | pl.col("listed")).iter_rows(named=True):
            data = view.batch.inside.get((entry["row"], self.kind.value, entry["slot"]))
            frames = view.batch.frames.get((entry["row"], entry["slot"]), ())
            words = [blake2b(data).hexdigest()] if data is not None else [str(view.dataset.media_dir), *frames]
            if self.is_new("inside" if data is not None else "frames", *words):
                if data is not None:
                    self.note(entry, len(data), partial(BytesIO, data))
                else:
                    self.note(entry, None, None)

    def is_new(self, *words: str) -> bool:
        """Whether this is the first time; it is remembered by 16 bytes."""
        digest = blake2b("\0".join(words).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        new = digest not in self.seen
        self.seen.add(digest)
        return new

    def note(self, entry: dict[str, Any], size: int | None, opened: Callable[[], BinaryIO] | None) -> None:
        """Count one medium; `opened` gives its bytes where it is one file."""
        self.distinct += 1
        self.health[entry["health"]] += 1
        if size is not None:
            self.sizes.add(size)
        if entry["health"] != Health.OK.value:
            return
        if entry["form"]:
            self.formats[entry["form"]] += 1
        if opened is not None:
            with suppress(OSError), opened() as file:
                self.codecs[codec_of(self.kind, file) or "unknown"] += 1
        for name, spread in self.numbers.items():
            number = fact(name, entry)
            if number:
                spread.add(number)


def fact(name: str, entry: dict[str, Any]) -> float | None:
    """One number of a healthy medium; None or 0 where its header does not tell."""
    width, height = entry["width"], entry["height"]
    match name:
        case "aspect":
            return max(width, height) / min(width, height) if min(width, height) else None
        case "megapixels":
            return float(width * height / 1e6)
        case "frames":
            return int(entry["frames"] or entry["decoded"] or 0)
        case _:
            value = entry[name]
            return value if isinstance(value, int | float) else None


@dataclass(slots=True)
class TokenStats:
    """Rows as the trainer counts them, where that is exactly known; `supervised` after truncation, the rest before."""

    tokens: Spread = field(default_factory=Spread)
    text: Spread = field(default_factory=Spread)
    media: Spread = field(default_factory=Spread)
    supervised: Spread = field(default_factory=Spread)
    over_cutoff: int = 0
    not_counted: Counter[str] = field(default_factory=Counter)
    """Rows without exact tokens, by reason."""

    def see(self, view: BatchView) -> None:
        """Take the budgets of one batch."""
        cutoff = view.run.settings.effective_cutoff
        taken = len(view.budgets)
        self.not_counted.update({REFUSED: view.batch.rows.height - taken} if taken < view.batch.rows.height else {})
        for budget in view.budgets:
            if budget.error:
                self.not_counted[REFUSED] += 1
            elif not budget.exact:
                self.not_counted[budget.unknown or "no exact count"] += 1
            else:
                self.tokens.add(budget.tokens)
                self.media.add(budget.media)
                self.text.add(budget.tokens - budget.media)
                self.supervised.add(budget.kept.supervised)
                self.over_cutoff += budget.tokens > cutoff


@dataclass(slots=True)
class DatasetStats:
    """What one dataset, or all of them, is made of."""

    name: str
    tokens: TokenStats | None
    """None without a template and tokenizer to count with."""
    evaluates: bool = False
    rows: int = 0
    unreadable: int = 0
    """Rows of another form than a conversation's: they are in `rows` alone."""
    fault: str = ""
    """Why the data could not be read to their end."""
    turns: Spread = field(default_factory=Spread)
    question_chars: Spread = field(default_factory=Spread)
    answer_chars: Spread = field(default_factory=Spread)
    roles: Counter[str] = field(default_factory=Counter)
    modalities: Counter[str] = field(default_factory=Counter)
    questions: Common = field(default_factory=Common)
    answers: Common = field(default_factory=Common)
    media: dict[MediaKind, MediaStats] = field(default_factory=lambda: {kind: MediaStats(kind) for kind in MediaKind})

    def see(self, view: BatchView) -> None:
        """Take one batch."""
        rows, turns, media = view.batch.rows, view.batch.turns, view.media
        good = rows.filter("readable").select("row")
        self.rows += rows.height
        self.unreadable += rows.height - good.height
        turns = turns.join(good, on="row", how="semi").with_columns(pl.col("content").fill_null(""))
        media = media.join(good, on="row", how="semi")
        spoken = turns.filter(~pl.col("system"))
        lengths = good.join(spoken.group_by("row").len(), on="row", how="left", maintain_order="left")
        self.turns.extend(lengths["len"].fill_null(0))
        for role, count in turns["canon"].fill_null("unknown").value_counts().iter_rows():
            self.roles[role] += count
        for role, spread, common in (
            (Role.USER, self.question_chars, self.questions),
            (Role.ASSISTANT, self.answer_chars, self.answers),
        ):
            said = spoken.filter(pl.col("canon") == role.value)["content"]
            spread.extend(said.str.len_chars())
            common.extend(said.str.replace_all(TAGS, "").str.strip_chars().value_counts().iter_rows())
        for words, count in modalities(good, media).value_counts().iter_rows():
            self.modalities[words] += count
        for kind, stats in self.media.items():
            stats.see(view, media.filter(pl.col("kind") == kind.value))
        if self.tokens is not None:
            self.tokens.see(view)


def modalities(rows: pl.DataFrame, media: pl.DataFrame) -> pl.Series:
    """`text`, `image`, `image+audio`: what each row has."""
    order = {kind.value: number for number, kind in enumerate(MediaKind)}
    kinds = media.select("row", "kind").unique().sort("row", pl.col("kind").replace_strict(order, default=None))
    joined = kinds.group_by("row", maintain_order=True).agg(pl.col("kind").str.join("+").alias("kinds"))
    return rows.join(joined, on="row", how="left")["kinds"].fill_null("text")


@dataclass(frozen=True, slots=True)
class Stats:
    """The datasets of a target, and all of them together."""

    run: RunView
    datasets: tuple[DatasetStats, ...]
    whole: DatasetStats


def measure(run: RunView, progress: Callable[[str, int], None]) -> Stats:
    """One pass over all rows that the trainer would load (split, num_samples and max_samples are followed)."""
    counts = run.template is not None and run.counter is not None

    def fresh(name: str, evaluates: bool = False) -> DatasetStats:
        return DatasetStats(name, TokenStats() if counts else None, evaluates)

    several = len(run.plan.datasets) > 1
    whole = fresh("all")
    measured = []
    probes, budgeter, course = ProbeCache(), make_budgeter(run, keep_skeletons=False), Course(run.settings)
    for dataset in run.plan.datasets:
        stats = fresh(dataset.entry.name, dataset.evaluates)
        loader, census = dataset.loader(), Census()
        wanted = intervals(dataset, run.settings.max_samples, course.draw)
        for part in batches(loader, wanted, BATCH_ROWS, census):
            view = look_at(run, dataset, flatten(part, dataset.entry, census), probes, budgeter)
            for each in (stats, whole) if several else (stats,):
                each.see(view)
            progress(dataset.entry.name, census.rows)
        stats.fault = "; ".join(str(fault) for _, fault in loader.source_faults)
        measured.append(stats)
    return Stats(run, tuple(measured), whole if several else measured[0])
