"""`budget`: no row longer than cutoff_len, as the trainer counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from curate.steps.step import Note, Passed, Surroundings
from curate.steps.tokens import Counting
from validators.errors import UsageFault
from validators.model import MediaKind
from validators.replay.budget import KIND_OF_TAG, TAGS

Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Budget:
    """What becomes of a row that is too long: it is dropped, or split between an answer and the next question.

    A part has the row's system message, whole exchanges, and their media. An exchange that is too long alone is
    dropped.
    """

    over: Literal["drop", "split"] = "drop"

    def __call__(self, rows: pl.DataFrame, around: Surroundings) -> Passed:
        """Rows that fit as they are, parts of those that do not; what cannot be counted is kept."""
        counting = around.counting
        if counting is None:
            raise UsageFault("budget", "nothing says what counts tokens", "`trainer:` in the recipe, a train yaml")
        limit = counting.cutoff_len
        exact = [budget for budget in counting.budgets(rows) if budget.exact]
        long = sorted(budget.row for budget in exact if budget.tokens > limit)
        if not long:
            return Passed(rows)
        notes: list[Note] = []
        made: list[pl.DataFrame] = []
        at = 0
        for position in long:
            made.append(rows.slice(at, position - at))
            at = position + 1
            parts, left_out = self.parts(rows.slice(position, 1), counting, limit)
            number = int(rows["row"][position])
            reason = f"longer than {limit} tokens"
            if not parts.is_empty():
                gone = f", {left_out} of its exchanges left out" if left_out else ""
                notes.append(Note(number, "changed", f"{reason}: split between turns{gone}"))
                made.append(parts)
            else:
                notes.append(Note(number, "dropped", reason))
        made.append(rows.slice(at))
        return Passed(pl.concat(made), notes)

    def parts(self, row: pl.DataFrame, counting: Counting, limit: int) -> tuple[pl.DataFrame, int]:
        """The row cut at turn boundaries into parts that fit; the number of exchanges that fit into none."""
        value = row.to_dicts()[0]
        single = list(exchanges(value)) if self.over == "split" else []
        lone = frame_of([conversation(value, [exchange], 0) for exchange in single], row)
        known = {budget.row: budget.tokens for budget in counting.budgets(lone) if budget.exact} if single else {}
        if len(known) < len(single):
            return row.clear(), 0
        groups: list[list[Exchange]] = [[]]
        held = 0
        for number, exchange in enumerate(single):
            if known[number] > limit:
                held = limit  # what comes after it starts a part of its own
                continue
            # a part is no longer than the sum of its exchanges alone: each of those counts the system message too
            if groups[-1] and held + known[number] > limit:
                groups.append([])
            held = held + known[number] if groups[-1] else known[number]
            groups[-1].append(exchange)
        kept = [group for group in groups if group]
        parts = [conversation(value, group, number) for number, group in enumerate(kept)]
        return frame_of(parts, row), sum(tokens > limit for tokens in known.values())


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
