"""What was changed in a row: texts word by word, roles, turns, media."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from curate.views.judge import ViewedTurn, turns_of
from validators.look import look_at
from validators.model import MediaKind
from validators.probes.cache import ProbeCache
from validators.rules.rule import RunView
from validators.sources.batch import Census
from validators.sources.chunks import Chunk
from validators.sources.flatten import flatten
from validators.sources.target import DatasetPlan

WORD = re.compile(r"\s+|\w+|[^\w\s]")
MOST_PARTS = 1500  # words, or turns, that are compared one by one
NEAR = 6  # words around a change
Code = tuple[str, int, int, int, int]
"""A step from A to B, as difflib writes it."""


class What(StrEnum):
    """What of a row was changed."""

    TEXT = "text"
    ROLE = "role"
    TURN = "turn"
    MEDIA = "media"
    TOOLS = "tools"
    FORM = "form"
    """A row that is no conversation, in A or in B."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change at one place; None where A or B has nothing there."""

    what: What
    place: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class PlainRow:
    """A row without its files: where it is, what is said in it, the paths it names."""

    file: str
    row: int
    turns: tuple[ViewedTurn, ...]
    tools: str
    media: tuple[tuple[str, str], ...]
    raw: str


def plain_row(run: RunView, dataset: DatasetPlan, chunk: Chunk) -> PlainRow:
    """A chunk of one row; `run` reads the data alone."""
    view = look_at(run, dataset, flatten(chunk, dataset.entry, Census()), ProbeCache(), None)
    media = []
    for row, kind, slot, path in view.batch.media.select("row", "kind", "slot", "path").iter_rows():
        frames = view.batch.frames.get((row, slot), ())
        data = view.batch.inside.get((row, kind, slot))
        inside = f"({len(data)} bytes inside the row)" if data is not None else f"({', '.join(frames)})"
        media.append((MediaKind(kind).column, path if path is not None else inside))
    return PlainRow(
        str(chunk.path),
        chunk.first,
        tuple(turns_of(view)),
        next(iter(view.batch.rows["tools"].drop_nulls()), ""),
        tuple(media),
        repr(chunk.raw_rows()[0].value) if view.batch.faults else "",
    )


def changes(a: PlainRow, b: PlainRow) -> Iterator[Change]:
    """From A to B."""
    if a.raw or b.raw:
        yield Change(What.FORM, "", a.raw or None, b.raw or None)
    said_a, said_b = (
        [(turn.canon or turn.role, turn.text) for turn in a.turns],
        [(turn.canon or turn.role, turn.text) for turn in b.turns],
    )
    for tag, from_a, to_a, from_b, to_b in codes(said_a, said_b):
        if tag != "equal":
            yield from turn_changes(a.turns[from_a:to_a], b.turns[from_b:to_b])
    if a.tools != b.tools:
        yield Change(What.TOOLS, "tools", a.tools or None, b.tools or None)
    yield from media_changes(a.media, b.media)


def turn_changes(a: Sequence[ViewedTurn], b: Sequence[ViewedTurn]) -> Iterator[Change]:
    """Turns that stand in each other's places, then those that have none."""
    for old, new in zip(a, b, strict=False):
        if (old.canon or old.role) != (new.canon or new.role):
            yield Change(What.ROLE, new.place, old.role, new.role)
        if old.text != new.text:
            yield Change(What.TEXT, new.place, old.text, new.text)
    for old in a[len(b) :]:
        yield Change(What.TURN, old.place, f"{old.role}: {old.text}", None)
    for new in b[len(a) :]:
        yield Change(What.TURN, new.place, None, f"{new.role}: {new.text}")


def media_changes(a: Sequence[tuple[str, str]], b: Sequence[tuple[str, str]]) -> Iterator[Change]:
    """Paths that are gone, paths that are new, and another order."""
    gone, new = Counter(a) - Counter(b), Counter(b) - Counter(a)
    for kind, path in gone.elements():
        yield Change(What.MEDIA, kind, path, None)
    for kind, path in new.elements():
        yield Change(What.MEDIA, kind, None, path)
    if a != b and not gone and not new:
        for kind in dict.fromkeys(kind for kind, _ in a):
            old, now = ([path for known, path in side if known == kind] for side in (a, b))
            if old != now:
                yield Change(What.MEDIA, kind, ", ".join(old), ", ".join(now))


def word_changes(a: str, b: str) -> Iterator[tuple[str, str]]:
    """Pieces of both texts in a row, each with ` ` for both, `-` for A alone, `+` for B alone; what is long and equal
    is cut."""
    words_a, words_b = WORD.findall(a), WORD.findall(b)
    steps = codes(words_a, words_b)
    for number, (tag, from_a, to_a, from_b, to_b) in enumerate(steps):
        if tag == "equal":
            yield " ", shortened(words_a[from_a:to_a], number > 0, number + 1 < len(steps))
            continue
        if from_a < to_a:
            yield "-", "".join(words_a[from_a:to_a])
        if from_b < to_b:
            yield "+", "".join(words_b[from_b:to_b])


def codes(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[Code]:
    """From A to B: what they begin and end with, and the changes between; long ones are one change."""
    most = min(len(a), len(b))
    head = next((at for at in range(most) if a[at] != b[at]), most)
    tail = next((at for at in range(most - head) if a[-1 - at] != b[-1 - at]), most - head)
    end_a, end_b = len(a) - tail, len(b) - tail
    middle: list[Code] = [("replace", head, end_a, head, end_b)]
    if (end_a - head) + (end_b - head) <= MOST_PARTS:
        between = SequenceMatcher(None, a[head:end_a], b[head:end_b], autojunk=False).get_opcodes()
        middle = [(tag, *(head + at for at in places)) for tag, *places in between]  # type: ignore[misc]
    steps: list[Code] = [("equal", 0, head, 0, head), *middle, ("equal", end_a, len(a), end_b, len(b))]
    return [step for step in steps if step[1] < step[2] or step[3] < step[4]]


def shortened(words: Sequence[str], before: bool, behind: bool) -> str:
    """The words next to a change; … for those between."""
    head, tail = (NEAR if before else 0), (NEAR if behind else 0)
    if len(words) <= head + tail + 1:
        return "".join(words)
    return "".join(words[:head]) + "…" + "".join(words[len(words) - tail :])
