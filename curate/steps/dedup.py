"""`dedup`: one row of those that are the same, or nearly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import polars as pl

from curate.steps.groups import Groups
from curate.steps.order import draw
from curate.steps.step import Again, Chosen, Note, Surroundings
from curate.steps.twins import EXACT, Twins, find_twins
from validators.model import MediaKind, Role
from validators.traces.hashing import ANSWERS, Hashes, scrambled, talk_hashes
from validators.traces.pairs import banded
from validators.traces.shingles import BANDS, SHORTEST, answer_keys, likely, likeness, min_keys, talks

By = Literal["all", "question", "answer"]
Keep = Literal["first", "last", "longest", "most_media"]
KEYS = ("keys", "answers", "frame")
STRETCH = 1 << 15  # rows whose keys are gathered at a time
PAIRS = 4096  # compared at a time: the texts of their rows are held


@dataclass(frozen=True, slots=True)
class Keyed:
    """Rows with texts that are long enough to be compared: their places among all, their keys and those of their
    answers, a line of BANDS a row, and the hash of what must be equal beside them."""

    at: np.ndarray[Any, Any]
    keys: np.ndarray[Any, Any]
    answers: np.ndarray[Any, Any]
    frame: np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Dedup:
    """What must be the same, and which row stays.

    text: from which likeness on two texts are one, EXACT for equal hashes, None where texts are not compared. Near
    rows have near answers, too; texts, and answers, of less than 80 characters must be equal. media:
    the same of each kind's files, in order. Kinds that are not named must have the same paths; those with None are not
    compared. A row that has nothing of what is compared has no double.
    """

    text: float | None = EXACT
    media: tuple[tuple[MediaKind, float | None], ...] = tuple((kind, EXACT) for kind in MediaKind)
    by: By = "all"
    keep: Keep = "first"
    seed: int = 0

    def traces(self, rows: pl.DataFrame, around: Surroundings) -> pl.DataFrame:
        """Hashes of texts, their MinHash keys where likeness counts, sizes and media paths."""
        turns = turns_of(rows)
        hashes = talk_hashes(turns, rows.select(pl.col("row").cast(pl.Int64), "tools"))
        entries = rows.select("row", "id", *(kind.column for kind in MediaKind))
        sides = {"all": ("question", "answer"), "question": ("question",), "answer": ("answer",)}[self.by]
        exact = np.zeros(len(hashes), np.uint64)
        for side in sides:
            exact = scrambled(exact) ^ hashes[side].to_numpy()
        made = pl.DataFrame({"row": hashes["row"].cast(pl.UInt32), "text": pl.Series(exact, dtype=pl.UInt64)})
        if self.is_near:
            made = made.join(self.keyed(rows, turns), on="row", how="left")
        content = pl.element().struct.field("content").str.len_chars()
        size = rows.select("row", size=pl.col("messages").list.eval(content).list.sum().cast(pl.UInt32))
        return entries.join(made, on="row", how="left", maintain_order="left").join(
            size, on="row", maintain_order="left"
        )

    @property
    def is_near(self) -> bool:
        """Whether texts that are not equal are compared."""
        return self.text is not None and self.text < EXACT

    def keyed(self, rows: pl.DataFrame, turns: pl.DataFrame) -> pl.DataFrame:
        """Of each row with a text long enough: row, frame (a hash of system prompt and tools, which must be equal),
        keys, and those of its answers, which must be alike, too."""
        texts = self.texts(turns)
        long = texts.filter(pl.col("text").str.len_chars() >= SHORTEST)
        keys = pl.Series("keys", min_keys(long["text"]), dtype=pl.Array(pl.UInt32, BANDS))
        answers = pl.Series("answers", answer_keys(long["answers"]), dtype=pl.Array(pl.UInt32, BANDS))
        made = long.select(pl.col("row").cast(pl.UInt32), keys, answers)
        if self.by == "answer":
            return made.with_columns(frame=pl.lit(0, pl.UInt64))
        prompts = turns.filter(pl.col("pos") < 0).group_by(pl.col("row").cast(pl.UInt32))
        system = prompts.agg(system=pl.col("content").str.join("\n"))
        framed = rows.select("row", "tools").join(system, on="row", how="left", maintain_order="left")
        frame = framed.select("row", frame=pl.struct(pl.col("tools", "system").fill_null("")).hash(1))
        return made.join(frame, on="row", maintain_order="left")

    def texts(self, turns: pl.DataFrame) -> pl.DataFrame:
        """Row, text and answers as they are compared."""
        answered = pl.col("canon").is_in(ANSWERS)
        if self.by == "question":
            turns = turns.filter(~answered)
        elif self.by == "answer":
            turns = turns.filter(answered)
        return talks(turns)

    def compare(self, traces: pl.DataFrame, again: Again, around: Surroundings) -> Chosen:
        """Groups by what all must share; in each, by texts; one row of each group stays."""
        # what is found does not depend on the order of rows; the keys, half of all, are not held twice
        order = traces.select(pl.arg_sort_by("id", "row")).to_series()
        ordered = traces.drop(KEYS, strict=False)[order]
        twins = self.twins(ordered, around)
        scope, takes = self.scope(ordered, twins)
        if not takes.all():
            ordered, order = ordered.filter(pl.Series(takes)), order.filter(pl.Series(takes))
        rows, scope = ordered, scope[takes]
        whole = scope if self.text is None else scrambled(scope) ^ rows["text"].to_numpy()
        _, firsts, homes = np.unique(whole, return_index=True, return_inverse=True)
        heads = firsts[homes]
        groups = Groups(len(rows))
        for at in np.flatnonzero(heads != np.arange(len(heads))).tolist():
            groups.unite(int(heads[at]), at)
        near = {}
        if self.is_near:
            near = dict(self.near(rows, keyed(traces, order, np.unique(heads)), scope, groups, again))
        dropped = []
        links: dict[int, dict[int, float]] = {}
        for (one, other), share in near.items():
            links.setdefault(one, {})[other] = share
            links.setdefault(other, {})[one] = share
        choice = self.choice(rows)
        for members in groups.members(fewest=2).values():
            kept = min(members, key=choice)
            for member in members:
                if member != kept:
                    partner, share = partner_of(member, kept, heads, links)
                    dropped.append(self.note(rows, member, partner, share, twins))
        gone = pl.Series([note.row for note in dropped], dtype=pl.UInt32)
        left = traces["row"].filter(~traces["row"].is_in(gone.implode()))
        return Chosen({"": left}, sorted(dropped, key=lambda note: note.row))

    def twins(self, rows: pl.DataFrame, around: Surroundings) -> Mapping[MediaKind, Twins]:
        """The twins of each kind that is named."""
        return {
            kind: find_twins(
                kind, rows[kind.column].explode().drop_nulls().unique(), around.media_root, least, around.memory
            )
            for kind, least in self.media
            if least is not None
        }

    def scope(self, rows: pl.DataFrame, twins: Mapping[MediaKind, Twins]) -> tuple[Hashes, np.ndarray[Any, Any]]:
        """A hash of all but the text that two rows must share, and whether a row has anything that is compared."""
        compared = dict(self.media)
        scope: Hashes = np.zeros(len(rows), np.uint64)
        for kind in MediaKind:
            if compared.get(kind, EXACT) is None:
                continue
            paths = rows[kind.column]
            if kind in twins:
                group = {path: str(number) for path, number in twins[kind].group.items()}
                paths = paths.list.eval(pl.element().replace_strict(group, return_dtype=pl.String))
            scope = scrambled(scope) ^ paths.list.join("\0").hash(2).to_numpy()
        if self.text is not None:
            return scope, np.ones(len(rows), bool)
        named = [pl.col(kind.column).list.len() > 0 for kind in twins]
        return scope, rows.select(pl.any_horizontal(named)).to_series().to_numpy()

    def near(
        self, rows: pl.DataFrame, keyed: Keyed, scope: Hashes, groups: Groups, again: Again
    ) -> Iterator[tuple[tuple[int, int], float]]:
        """Pairs of rows whose texts are alike, which are united. keyed: the first of rows with equal texts, as only
        those are read."""
        assert self.text is not None
        places = keyed.at
        inside = scrambled(scope[places]) ^ keyed.frame
        left, right = banded(keyed.keys, inside, partial(likely, keyed.keys, keyed.answers, self.text))
        for at in range(0, len(left), PAIRS):
            part = zip(places[left[at : at + PAIRS]].tolist(), places[right[at : at + PAIRS]].tolist(), strict=True)
            pairs = [pair for pair in part if groups.root(pair[0]) != groups.root(pair[1])]
            texts = self.read(rows, {place for pair in pairs for place in pair}, again)
            for one, other in pairs:
                share = min(likeness(mine, its) for mine, its in zip(texts[one], texts[other], strict=True))
                if share >= self.text:
                    groups.unite(one, other)
                    yield (one, other), share

    def read(self, rows: pl.DataFrame, wanted: Iterable[int], again: Again) -> dict[int, tuple[str, str]]:
        """The texts of some rows, by their place among the traces."""
        places = {int(rows["row"][at]): at for at in wanted}
        found: dict[int, tuple[str, str]] = {}
        for batch in again(pl.Series(sorted(places), dtype=pl.UInt32)):
            for row, text, answers in self.texts(turns_of(batch)).iter_rows():
                found[places[row]] = (text, answers)
        return found

    def choice(self, rows: pl.DataFrame) -> Callable[[int], tuple[int, ...]]:
        """By which number of a group's rows the least stays; of equally good ones, one by seed and id."""
        numbers, ids = rows["row"].to_numpy(), rows["id"]
        media = rows.select(pl.sum_horizontal(pl.col(kind.column).list.len() for kind in MediaKind)).to_series()
        match self.keep:
            case "first":
                return lambda at: (int(numbers[at]),)
            case "last":
                return lambda at: (-int(numbers[at]),)
            case "longest":
                worth = rows["size"].to_numpy()
            case "most_media":
                worth = media.to_numpy()
        return lambda at: (-int(worth[at]), draw(self.seed, ids[at]), int(numbers[at]))

    def note(
        self, rows: pl.DataFrame, row: int, partner: int, share: float | None, twins: Mapping[MediaKind, Twins]
    ) -> Note:
        """Why a row goes: what it has in common with another."""
        words, kinds = [], []
        if self.text is not None:
            same = share == EXACT
            what = {"all": "text", "question": "question", "answer": "answer"}[self.by]
            words.append(f"same {what}" if same else f"near {what} {share:.2f}")
            kinds.append(f"same {what}" if same else f"near {what}")
        for kind, known in twins.items():
            mine, its = rows[kind.column][row].to_list(), rows[kind.column][partner].to_list()
            if mine:
                shares = [known.likeness(one, other) for one, other in zip(mine, its, strict=True)]
                sure = [each for each in shares if each is not None]
                if sure and len(sure) == len(shares) and min(sure) == EXACT:
                    words.append(f"same {kind.column}")
                else:
                    words.append(f"near {kind.column}" + (f" {min(sure):.3f}" if len(sure) == len(shares) else ""))
                kinds.append(" ".join(words[-1].split()[:2]))
        reason = f"{', '.join(words)} of {rows['id'][partner]}"
        return Note(int(rows["row"][row]), "dropped", reason, ", ".join(kinds))


def keyed(traces: pl.DataFrame, order: pl.Series, places: np.ndarray[Any, Any]) -> Keyed:
    """The keys of the rows at some places of an order of the traces."""
    whole = traces["keys"].is_not_null().gather(order.gather(places)).to_numpy()
    places = places[whole]
    wanted = order.gather(places)
    return Keyed(
        places,
        matrix(traces["keys"], wanted),
        matrix(traces["answers"], wanted),
        traces["frame"].gather(wanted).to_numpy(),
    )


def matrix(keys: pl.Series, rows: pl.Series) -> np.ndarray[Any, Any]:
    """The keys of some rows as lines of a matrix; a stretch at a time, as each costs several times its size."""
    made = np.empty((len(rows), BANDS), np.uint32)
    for at in range(0, len(rows), STRETCH):
        made[at : at + STRETCH] = keys.gather(rows.slice(at, STRETCH)).to_numpy()
    return made


def partner_of(
    row: int, kept: int, heads: np.ndarray[Any, Any], links: Mapping[int, Mapping[int, float]]
) -> tuple[int, float]:
    """The row that a dropped one is a double of, and how alike their texts are: the one that is kept, where they were
    compared, else the nearest."""
    mine, its = int(heads[row]), int(heads[kept])
    if mine == its:
        return kept, EXACT
    known = links[mine]
    if its in known:
        return kept, known[its]
    nearest = max(known, key=lambda other: (known[other], -other))
    return nearest, known[nearest]


def turns_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Messages as the traces take turns: row, canon (the role), content, pos (-1 for a system prompt)."""
    long = rows.select(pl.col("row").cast(pl.Int64), "messages").explode("messages").drop_nulls("messages")
    turns = long.unnest("messages").rename({"role": "canon"})
    return turns.with_columns(
        pos=pl.when(pl.col("canon") == Role.SYSTEM.value).then(-1).otherwise(0), content=pl.col("content").fill_null("")
    )
