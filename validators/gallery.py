"""The rows that a report shows, gathered while batches pass: some of each rule's, and a sample of those without fault.

What is kept does not grow with the dataset: a number of rows for each rule, each with the start of its text.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from validators.findings import Finding
from validators.lengths import LossCurve
from validators.model import MediaKind, Outcome
from validators.probes.cache import file_of, locate
from validators.probes.facts import Health
from validators.report.shown import ShownMedium, ShownRow, ShownTurn
from validators.rules.rule import BatchView, Depth

ROWS_OF_A_RULE = 40
SAMPLED = 12  # rows without a finding, of each dataset
MOST_TURNS, MOST_MEDIA = 24, 16  # of one row
MOST_CHARS, ROW_CHARS = 2000, 8000  # of one turn, and of all of a row's
MOST_INSIDE = 8 << 20  # bytes of one medium inside a row
ALL_INSIDE = 64 << 20  # bytes of all of them


@dataclass(slots=True)
class Stock:
    """What the galleries of one run's datasets have between them."""

    by_rule: Counter[str] = field(default_factory=Counter)
    inside: int = 0


@dataclass(slots=True)
class Gallery:
    """One dataset's rows to show."""

    stock: Stock
    curve: LossCurve | None
    found: dict[int, ShownRow] = field(default_factory=dict)
    sample: list[tuple[int, ShownRow]] = field(default_factory=list)
    passed: int = 0
    """Rows without a finding that have passed."""
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def see(self, view: BatchView, file: Path, shift: int, findings: Sequence[Finding]) -> None:
        """Take what is wanted of a batch. `shift`: the number, in the dataset, of the file's first row."""
        if self.curve is not None:
            self.curve.add(view.budgets)
        marked: set[int] = set()
        wanted: set[int] = set()
        for finding in findings:
            if finding.place.row is None or finding.file != str(file):
                continue
            row = finding.place.row + shift
            marked.add(row)
            if self.stock.by_rule[finding.code] < ROWS_OF_A_RULE:
                self.stock.by_rule[finding.code] += 1
                wanted.add(row)
        wanted -= self.found.keys()
        drawn = self.draw(row for row in view.batch.rows["row"] if row not in marked)
        shown = self.rows_of(view, str(file), shift, wanted | {row for _, row in drawn})
        self.found |= {row: shown[row] for row in sorted(wanted) if row in shown}
        for slot, row in drawn:
            self.sample[slot : slot + 1] = [(row, shown[row])]

    def draw(self, rows: Iterator[int]) -> list[tuple[int, int]]:
        """Which of these rows take which slots of the sample: each row that has passed is as likely to be in it."""
        drawn: dict[int, int] = {}
        for row in rows:
            slot = self.passed if self.passed < SAMPLED else self.chance.randrange(self.passed + 1)
            self.passed += 1
            if slot < SAMPLED:
                drawn[slot] = row
        return sorted(drawn.items())

    def rows(self, fate: Callable[[int], Outcome]) -> tuple[ShownRow, ...]:
        """What was kept, in the order of the dataset, each with what becomes of it."""
        kept = dict(sorted((self.found | dict(self.sample)).items()))
        return tuple(replace(row, outcome=fate(number)) for number, row in kept.items())

    def rows_of(self, view: BatchView, file: str, shift: int, numbers: Set[int]) -> dict[int, ShownRow]:
        """Some rows of a batch, by number."""
        if not numbers:
            return {}
        chosen = pl.col("row").is_in(sorted(numbers))
        turns: dict[int, list[tuple[str, str]]] = {number: [] for number in numbers}
        columns = ("row", "role", "content", "canon")
        for row, role, content, canon in view.batch.turns.filter(chosen).select(columns).iter_rows():
            turns[row].append((role or canon or "", content or ""))
        media: dict[int, list[ShownMedium]] = {number: [] for number in numbers}
        for entry in view.media.filter(chosen).iter_rows(named=True):
            if len(media[entry["row"]]) < MOST_MEDIA:
                media[entry["row"]].append(self.medium(view, entry))
        entries = Counter(view.media.filter(chosen)["row"])
        budgets = {budget.row: budget for budget in view.budgets if budget.exact and budget.row in numbers}
        result = {}
        for number in numbers:
            budget = budgets.get(number)
            result[number] = ShownRow(
                file,
                number - shift,
                Outcome.TRAINED,
                None if budget is None else budget.tokens,
                None if budget is None else budget.kept.tokens,
                None if budget is None else budget.kept.supervised,
                tuple(cut_turns(turns[number][:MOST_TURNS])),
                max(0, len(turns[number]) - MOST_TURNS),
                tuple(media[number]),
                max(0, entries[number] - MOST_MEDIA),
            )
        return result

    def medium(self, view: BatchView, entry: dict[str, Any]) -> ShownMedium:
        """A media entry: what is known of it, and where its preview can be taken from."""
        kind, key = MediaKind(entry["kind"]), (entry["row"], entry["slot"])
        path, data = entry["path"], view.batch.inside.get((entry["row"], entry["kind"], entry["slot"]))
        if path is None and kind is MediaKind.VIDEO:
            path = next(iter(view.batch.frames.get(key, ())), None)
        if view.run.depth is Depth.SHAPE:
            return ShownMedium(kind, path or "", "", reason="not read")
        shown = ShownMedium(kind, path or "", describe(kind, entry))
        if entry["outside"]:
            return replace(shown, reason="outside the media root")
        if entry["health"] != Health.OK.value:
            return replace(shown, reason=entry["detail"] or entry["health"])
        if data is not None:
            if len(data) > MOST_INSIDE or self.stock.inside + len(data) > ALL_INSIDE:
                return replace(shown, reason="too many bytes inside the rows")
            self.stock.inside += len(data)
            return replace(shown, data=data)
        located = locate(file_of(path, kind, view.dataset.media_dir), view.dataset.media_dir) if path else None
        return replace(shown, file=located[0]) if located is not None else replace(shown, reason="no file")


def cut_turns(turns: Sequence[tuple[str, str]]) -> Iterator[ShownTurn]:
    """Turns with the start of each text, and of each as much as the row has left."""
    left = ROW_CHARS
    for role, text in turns:
        start = text[: min(MOST_CHARS, left)]
        left -= len(start)
        yield ShownTurn(role[:MOST_CHARS], start, len(text) - len(start))


def describe(kind: MediaKind, entry: dict[str, Any]) -> str:
    """`640 × 480`, `30 frames of 64 × 48, 3.0 s`, `1.5 s at 16000 Hz`; what is wrong with it where something is."""
    if entry["health"] != Health.OK.value:
        return str(entry["health"])
    size = f"{entry['width']} × {entry['height']}"
    if kind is MediaKind.IMAGE:
        return size
    if kind is MediaKind.AUDIO:
        return f"{entry['samples'] / entry['rate']:.1f} s at {entry['rate']} Hz" if entry["rate"] else "a sound"
    frames = entry["frames"] or entry["decoded"]
    length = f", {entry['duration']:.1f} s" if entry["duration"] else ""
    return f"{frames} frames of {size}{length}" if frames else f"{size}{length}"
