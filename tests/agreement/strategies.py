"""Cases to hold prediction and truth against each other: a plan is small and can be drawn by hypothesis or by a seed.

A case is one data file with its dataset_info.json and train yaml. Rows are planned as (base, faults, seed), so that a
plan is enough to make the case again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.agreement.faults import (
    BASES,
    ENTRY_FAULTS,
    FAULTS,
    Entry,
    Row,
    Scene,
    bases_for,
    entry_for,
    sound_row,
    spoil,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

FAMILIES = ("qwen2_vl", "v-2.6", "v-4.5", "o-2.6", "o-4.5")
STILL = tuple(name for name, fault in FAULTS.items() if not fault.shapes)
SHAPING = tuple(name for name, fault in FAULTS.items() if fault.shapes)
CLEAR = {"cutoff_len": 4096, "video_maxlen": 16}
"""Settings under which sound rows train whole."""
EDGE = 3  # tokens to either side of an edge that a limit is put at


def kinds_of(family: str) -> tuple[str, ...]:
    """The media that a family's template knows."""
    return ("images", "videos", "audios") if family.startswith("o-") else ("images", "videos")


@dataclass(frozen=True)
class RowPlan:
    """A base row, what is done to it, and the seed of all further choices."""

    base: int
    faults: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Plan:
    """One case. purpose: `recall` (one fault a row, clear settings), `mixed`, `edge`, `entry` or `shape`."""

    family: str
    purpose: str
    rows: tuple[RowPlan, ...]
    settings: tuple[tuple[str, Any], ...] = ()
    entry_fault: str | None = None
    aim: int | None = None
    """Seed of a limit put near an edge of one of the rows (a media block's or a turn's); None keeps cutoff_len."""
    jsonl: bool = False


@dataclass(frozen=True)
class Case:
    """A plan made real."""

    plan: Plan
    rows: tuple[Row, ...]
    faults: tuple[tuple[str, ...], ...]
    entry: Entry


def realise(plan: Plan, scene: Scene) -> Case:
    """Make rows and entry."""
    rows, faults = [], []
    for row_plan in plan.rows:
        rng = random.Random(row_plan.seed)
        row = sound_row(row_plan.base, rng, scene)
        faults.append(spoil(row, row_plan.faults, rng, scene))
        rows.append(row)
    if plan.purpose == "edge":
        rows = [padded(rows[0], number) for number in range(len(rows))]
        faults = [faults[0]] * len(rows)
    if any({"null-in-list", "null-message"} & set(names) for names in faults):
        # pyarrow 26.0.1 reads a list that begins with null in JSON lines past its buffers: rows get others' values,
        # differently each time or with a SystemError; as one JSON array the file goes through pandas
        plan = replace(plan, jsonl=False)
    entry = entry_for(rows)
    entry["file_name"] = "data.jsonl" if plan.jsonl else "data.json"
    if plan.entry_fault is not None:
        ENTRY_FAULTS[plan.entry_fault][1](entry)
    return Case(plan, tuple(rows), tuple(faults), entry)


def padded(row: Row, words: int) -> Row:
    """The same row with so many more words before all others, so that its edges lie further back."""
    first = next((n for n, turn in enumerate(row["messages"]) if turn["role"] == "user"), 0)
    messages = [dict(turn) for turn in row["messages"]]
    messages[first]["content"] = "7" * words + messages[first]["content"]
    return row | {"messages": messages}


def draw_settings(rng: random.Random, family: str) -> dict[str, Any]:
    """Settings as users write them, now and then at their limits."""
    settings: dict[str, Any] = {"cutoff_len": rng.choice([64, 130, 256, 400, 777, 1024, 2048, 4096])}

    def maybe(chance: float, name: str, *values: Any) -> None:
        if rng.random() < chance:
            settings[name] = rng.choice(values)

    maybe(0.35, "image_max_pixels", 50_176, 131_072, 200_000, 1_500_000)
    maybe(0.15, "image_min_pixels", 3136, 90_000, 40_000)
    maybe(0.3, "video_max_pixels", 16_384, 40_000, 120_000, 420_000)
    maybe(0.1, "video_min_pixels", 4096, 25_000)
    maybe(0.3, "video_fps", 0.5, 1.0, 1.7, 4.0, 30.0)
    settings["video_maxlen"] = rng.choice([1, 2, 3, 5, 8, 8, 16, 16, 32])
    maybe(0.15, "default_system", "Be brief.", "", "You see <image>.")
    mode = rng.random()
    if mode < 0.2:
        settings["mask_history"] = True
    elif mode < 0.35:
        settings["train_on_prompt"] = True
    maybe(0.1, "packing", True)
    maybe(0.05, "neat_packing", True)
    if family.startswith("o-"):
        maybe(0.05, "audio_sampling_rate", 8000, 24_000)
    return settings


def row_plans(rng: random.Random, family: str, count: int, names: tuple[str, ...], spoiled: float) -> list[RowPlan]:
    """Rows of which a share has one to three faults."""
    bases = bases_for(kinds_of(family))
    plans = []
    for _ in range(count):
        most = rng.choices([1, 2, 3], [5, 3, 2])[0] if rng.random() < spoiled else 0
        faults = tuple(rng.sample(names, most))
        plans.append(RowPlan(rng.choice(bases), faults, rng.randrange(2**32)))
    return plans


def draw_plan(rng: random.Random, family: str, purpose: str, rows: int) -> Plan:
    """One case by a seeded generator."""
    bases = bases_for(kinds_of(family))
    settings = draw_settings(rng, family)
    aim = rng.randrange(2**32) if rng.random() < 0.6 else None
    jsonl = rng.random() < 0.3
    if purpose == "mixed":
        plans = row_plans(rng, family, rows, STILL, 0.6)
        return Plan(family, purpose, tuple(plans), tuple(settings.items()), None, aim, jsonl)
    if purpose == "edge":
        media = [base for base in bases if set(BASES[base]) - {"messages"}]
        plan = RowPlan(rng.choice(media), (), rng.randrange(2**32))
        return Plan(family, purpose, (plan,) * rows, tuple(settings.items()), None, rng.randrange(2**32), jsonl)
    if purpose == "shape":
        plans = row_plans(rng, family, rng.randint(0, 3), STILL, 0.2)
        for _ in range(rng.choice([1, 1, 2])):
            name = rng.choice(SHAPING)
            plans.insert(rng.randint(0, len(plans)), RowPlan(rng.choice(bases), (name,), rng.randrange(2**32)))
        return Plan(family, purpose, tuple(plans), tuple(CLEAR.items()), None, None, jsonl)
    if purpose == "entry":
        plans = row_plans(rng, family, rng.randint(2, 6), STILL, 0.2)
        return Plan(family, purpose, tuple(plans), tuple(CLEAR.items()), rng.choice(list(ENTRY_FAULTS)), None, jsonl)
    raise ValueError(purpose)


def recall_plans(rng: random.Random, family: str, each: int) -> Iterator[Plan]:
    """Every fault, alone, `each` times, beside sound rows; faults of shape and of the entry in small files."""
    bases = bases_for(kinds_of(family))
    single = [(name,) for name in STILL for _ in range(each)] + [()] * (each * len(STILL) // 6)
    rng.shuffle(single)
    for start in range(0, len(single), 40):
        plans = [RowPlan(rng.choice(bases), faults, rng.randrange(2**32)) for faults in single[start : start + 40]]
        yield Plan(family, "recall", tuple(plans), tuple(CLEAR.items()), None, None, start % 80 == 0)
    for name in SHAPING:
        for count in range(max(each // 2, 1)):
            rows = [RowPlan(rng.choice(bases), (), rng.randrange(2**32)) for _ in range(count % 3)]
            rows.insert(rng.randint(0, len(rows)), RowPlan(rng.choice(bases), (name,), rng.randrange(2**32)))
            yield Plan(family, "recall", tuple(rows), tuple(CLEAR.items()), None, None, count % 2 == 0)
    for name in ENTRY_FAULTS:
        for _ in range(max(each // 4, 1)):
            rows = [RowPlan(rng.choice(bases), (), rng.randrange(2**32)) for _ in range(3)]
            yield Plan(family, "recall", tuple(rows), tuple(CLEAR.items()), name)


def all_plans(seed: int, rows: int, each: int) -> list[Plan]:
    """The cases of a whole run: recall first, then mixed and edge cases until there are so many rows."""
    rng = random.Random(seed)
    plans = [plan for family in FAMILIES for plan in recall_plans(rng, family, each)]
    count = sum(len(plan.rows) for plan in plans)
    while count < rows:
        purpose = rng.choices(["mixed", "edge", "shape", "entry"], [14, 6, 2, 1])[0]
        plan = draw_plan(rng, rng.choice(FAMILIES), purpose, 40 if purpose == "mixed" else 12)
        plans.append(plan)
        count += len(plan.rows)
    return plans


def plans(family: str, rows: int) -> SearchStrategy[Plan]:
    """The same cases drawn by hypothesis; those of one to three faults a row, one in eight of shape or entry."""
    from hypothesis import strategies as st

    bases = st.sampled_from(bases_for(kinds_of(family)))
    seeds = st.integers(0, 2**32 - 1)
    faults = st.lists(st.sampled_from(STILL), max_size=3, unique=True).map(tuple)
    row = st.builds(RowPlan, bases, faults, seeds)
    aims = st.none() | seeds
    settings = seeds.map(lambda seed: tuple(draw_settings(random.Random(seed), family).items()))
    # hypothesis likes to repeat itself; a thousand rows are to be a thousand different ones
    some = st.lists(row, min_size=rows, max_size=rows, unique_by=lambda plan: (plan.base, plan.faults)).map(tuple)
    mixed = st.builds(Plan, st.just(family), st.just("mixed"), some, settings, st.none(), aims, st.booleans())
    edge = seeds.map(lambda seed: draw_plan(random.Random(seed), family, "edge", 12))
    odd = st.builds(
        lambda seed, purpose: draw_plan(random.Random(seed), family, purpose, rows),
        seeds,
        st.sampled_from(["shape", "entry"]),
    )
    return st.one_of(mixed, mixed, mixed, mixed, mixed, edge, odd)


def with_cutoff(plan: Plan, cutoff: int) -> Plan:
    """The plan under another limit."""
    return replace(plan, settings=tuple((dict(plan.settings) | {"cutoff_len": cutoff}).items()), aim=None)
