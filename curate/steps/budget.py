"""`budget`: no row longer than cutoff_len, as the trainer counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

from curate.fixes.protocol import CannotMend
from curate.steps.frames import thin_videos
from curate.steps.step import Note, Passed, Surroundings
from curate.steps.tokens import Counting
from validators.errors import UsageFault
from validators.model import MediaKind
from validators.replay.budget import KIND_OF_TAG, TAGS, RowBudget

Value = dict[str, Any]
Way = Literal["frames", "split", "drop"]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a row that was too long became: no rows where nothing helps; what was done, and what could not be."""

    rows: pl.DataFrame
    done: str = ""
    kind: str = ""
    """What was done, in words that other rows share."""
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """What becomes of a row that is too long: the ways are tried in order, and at their end it is dropped.

    frames: its videos are copied with fewer frames, as many as fit. split: between an answer and the next question. A
    part has the row's system message, whole exchanges, and their media. An exchange that is too long alone gets fewer
    frames if that is a way, or is left out.
    """

    ways: tuple[Way, ...] = ("drop",)

    @property
    def makes_media(self) -> bool:
        """Whether it needs a place for media of its own."""
        return "frames" in self.ways

    def __call__(self, rows: pl.DataFrame, around: Surroundings) -> Passed:
        """Rows that fit as they are, and what others became; what cannot be counted is kept."""
        counting = around.counting
        if counting is None:
            raise UsageFault("budget", "nothing says what counts tokens", "`trainer:` in the recipe, a train yaml")
        limit = counting.cutoff_len
        long = {budget.row: budget for budget in counting.budgets(rows) if budget.exact and budget.tokens > limit}
        if not long:
            return Passed(rows)
        notes: list[Note] = []
        made: list[pl.DataFrame] = []
        at = 0
        for position in sorted(long):
            made.append(rows.slice(at, position - at))
            at = position + 1
            fitted = self.fitted(rows.slice(position, 1), long[position], counting, around)
            number = int(rows["row"][position])
            reason = f"longer than {limit} tokens"
            if not fitted.rows.is_empty():
                notes.append(Note(number, "changed", f"{reason}: {fitted.done}", f"{reason}: {fitted.kind}"))
                made.append(fitted.rows)
            else:
                failed = f"; {fitted.failed}" if fitted.failed else ""
                notes.append(Note(number, "dropped", reason + failed, reason))
        made.append(rows.slice(at))
        return Passed(pl.concat(made), notes)

    def fitted(self, row: pl.DataFrame, budget: RowBudget, counting: Counting, around: Surroundings) -> Fitted:
        """The row by the first way that helps."""
        failed: list[str] = []
        for way in self.ways:
            if way == "frames":
                tried = fewer_frames(row, budget, counting, around)
            elif way == "split":
                tried = self.split(row, counting, around)
            else:
                break
            if not tried.rows.is_empty():
                return tried
            failed += [tried.failed] * bool(tried.failed)
        return Fitted(row.clear(), failed="; ".join(dict.fromkeys(failed)))

    def split(self, row: pl.DataFrame, counting: Counting, around: Surroundings) -> Fitted:
        """The row cut at turn boundaries into parts that fit."""
        limit = counting.cutoff_len
        value = row.to_dicts()[0]
        single = list(exchanges(value))
        lone = frame_of([conversation(value, [exchange], 0) for exchange in single], row)
        known = {budget.row: budget for budget in counting.budgets(lone) if budget.exact}
        if len(known) < len(single):
            return Fitted(row.clear())
        lengths = [known[number].tokens for number in range(len(single))]
        thinned = failed = ""
        for number, length in enumerate(lengths):
            if length > limit and self.makes_media:
                tried = fewer_frames(lone.slice(number, 1), known[number], counting, around)
                failed = failed or tried.failed
                if not tried.rows.is_empty():
                    videos = tried.rows["videos"].to_list()[0]
                    single[number] = replace(single[number], media={**single[number].media, MediaKind.VIDEO: videos})
                    lengths[number], thinned = limit, ", some with fewer frames of their videos"
        groups: list[list[Exchange]] = [[]]
        held = 0
        for length, exchange in zip(lengths, single, strict=True):
            if length > limit:
                held = limit  # what comes after it starts a part of its own
                continue
            # a part is no longer than the sum of its exchanges alone: each of those counts the system message too
            if groups[-1] and held + length > limit:
                groups.append([])
            held = held + length if groups[-1] else length
            groups[-1].append(exchange)
        kept = [group for group in groups if group]
        parts = frame_of([conversation(value, group, number) for number, group in enumerate(kept)], row)
        left_out = sum(length > limit for length in lengths)
        gone = f", {left_out} of its exchanges left out" if left_out else ""
        return Fitted(parts, f"split between turns{thinned}{gone}", f"split between turns{thinned}{gone}", failed)


def fewer_frames(row: pl.DataFrame, budget: RowBudget, counting: Counting, around: Surroundings) -> Fitted:
    """The row with copies of its videos that have fewer frames."""
    if around.make is None:
        raise UsageFault("budget: frames", "media: reference, which makes no files", "media: store, copy or hardlink")
    videos = tuple(row["videos"].to_list()[0])
    try:
        thinned = thin_videos(videos, budget, counting, around.media_root, around.make)
    except CannotMend as reason:
        return Fitted(row.clear(), failed=f"its videos cannot have fewer frames: {reason}")
    if thinned is None:
        return Fitted(row.clear())
    made = frame_of([row.to_dicts()[0] | {"videos": list(thinned.videos)}], row)
    (again,) = counting.budgets(made) or (None,)
    worse = again is not None and again.step_fault and not budget.step_fault
    if again is None or not again.exact or again.tokens > counting.cutoff_len or worse:
        return Fitted(row.clear(), failed="its videos with fewer frames count otherwise than was reckoned")
    return Fitted(made, thinned.words, "fewer frames of its videos")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer, with their media by kind."""

    messages: Sequence[Mapping[str, str]]
    media: Mapping[MediaKind, Sequence[str]]


def exchanges(value: Value) -> Iterator[Exchange]:
    """The row's questions and answers; media go with the tags that name them."""
    left = {kind: iter(value[kind.column] or ()) for kind in MediaKind}
    spoken = [message for message in value["messages"] if message["role"] != "system"]
    for first in range(0, len(spoken), 2):
        pair = spoken[first : first + 2]
        media: dict[MediaKind, list[str]] = {kind: [] for kind in MediaKind}
        for message in pair:
            for tag in TAGS.findall(message["content"]):
                media[KIND_OF_TAG[tag]] += [path for path in [next(left[KIND_OF_TAG[tag]], None)] if path is not None]
        yield Exchange(pair, media)


def conversation(value: Value, parts: Sequence[Exchange], number: int) -> Value:
    """A row of some of the exchanges; the first part keeps the id, others add their number to it."""
    system = [message for message in value["messages"] if message["role"] == "system"]
    return value | {
        "id": value["id"] if number == 0 else f"{value['id']}-{number + 1}",
        "messages": system + [message for part in parts for message in part.messages],
        **{kind.column: [path for part in parts for path in part.media[kind]] for kind in MediaKind},
    }


def frame_of(values: Sequence[Value], like: pl.DataFrame) -> pl.DataFrame:
    """Rows as a frame of another's columns and types."""
    return pl.DataFrame(values, schema=like.schema)
