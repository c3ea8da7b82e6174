"""What to set: the lowest cutoff_len that cuts nothing, and the largest media limits that a cutoff_len allows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from validators.budgets.family import Crash
from validators.budgets.minicpm_v import MiniCPM
from validators.model import MediaKind
from validators.replay.budget import Budgeter, Skeleton

PERCENTILES = (99, 95)
MOST_PIXELS = 1 << 26


@dataclass(frozen=True, slots=True)
class CutoffAdvice:
    """A cutoff_len that leaves `percent` of the counted rows whole."""

    percent: int
    cutoff_len: int


@dataclass(frozen=True, slots=True)
class KnobAdvice:
    """The largest value of one setting at which no medium loses tokens, all else as it is.

    largest: None where no value is low enough. unlimited: true where even the highest value tried (`largest`) fits.
    """

    knob: str
    current: float
    largest: float | None
    unlimited: bool


@dataclass(frozen=True, slots=True)
class Knob:
    """A setting to try: whole steps of `unit` between `lowest` and `highest`, and the modality that it limits."""

    name: str
    kind: MediaKind
    lowest: int
    highest: int
    unit: float = 1


# pixels: not below the trainer's default image_min_pixels and video_min_pixels, where images become specks
KNOBS = (
    Knob("image_max_pixels", MediaKind.IMAGE, 32 * 32, MOST_PIXELS),
    Knob("max_slice_nums", MediaKind.IMAGE, 1, 64),
    Knob("video_maxlen", MediaKind.VIDEO, 1, 1 << 14),
    Knob("video_fps", MediaKind.VIDEO, 1, 6000, 0.01),
    Knob("video_max_pixels", MediaKind.VIDEO, 16 * 16, MOST_PIXELS),
)


def cutoffs(totals: Sequence[int], slack: int) -> list[CutoffAdvice]:
    """The lowest cutoff_len for all rows, and for PERCENTILES of them; `slack` is what packing takes off."""
    if not totals:
        return []
    ordered = sorted(totals)
    last = len(ordered) - 1
    # of n rows, ceil(n * p / 100) must fit
    places = {100: last} | {percent: -(-len(ordered) * percent // 100) - 1 for percent in PERCENTILES}
    return [CutoffAdvice(percent, ordered[max(0, place)] + slack) for percent, place in places.items()]


def knobs(budgeter: Budgeter, skeletons: Iterable[Skeleton]) -> list[KnobAdvice]:
    """For each setting that limits a modality of these rows, its largest value that cuts no medium."""
    found = []
    rows = list(skeletons)
    for knob in KNOBS:
        concerned = [row for row in rows if any(medium.placed.kind is knob.kind for medium in row.media)]
        current = value_of(budgeter, knob)
        if not concerned or current is None:
            continue
        found.append(largest(budgeter, knob, current, concerned))
    return found


def largest(budgeter: Budgeter, knob: Knob, current: float, rows: list[Skeleton]) -> KnobAdvice:
    """Bisect between a value that fits and one that does not; rows that did not fit are tried first."""

    def fits(step: int) -> bool:
        trial = with_value(budgeter, knob, step * knob.unit)
        for number, row in enumerate(rows):
            if cuts(trial, row):
                rows.insert(0, rows.pop(number))
                return False
        return True

    if fits(knob.highest):
        return KnobAdvice(knob.name, current, plain(knob.highest * knob.unit), True)
    if not fits(knob.lowest):
        return KnobAdvice(knob.name, current, None, False)
    low, high = knob.lowest, knob.highest
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return KnobAdvice(knob.name, current, plain(low * knob.unit), False)


def cuts(budgeter: Budgeter, row: Skeleton) -> bool:
    """Whether a medium of the row loses tokens, or cannot be prepared at all."""
    try:
        _, kept = budgeter.recount(row)
    except Crash:
        return True
    return bool(kept.media)


def value_of(budgeter: Budgeter, knob: Knob) -> float | None:
    """The setting's present value; None where this family does not have it."""
    if knob.name == "max_slice_nums":
        return budgeter.family.processor.max_slice_nums if isinstance(budgeter.family, MiniCPM) else None
    value: float = getattr(budgeter.settings, knob.name)
    return value


def with_value(budgeter: Budgeter, knob: Knob, value: float) -> Budgeter:
    """The budgeter under another value of one setting."""
    family = budgeter.family
    if isinstance(family, MiniCPM) and knob.name == "max_slice_nums":
        changed = replace(family, processor=replace(family.processor, max_slice_nums=int(value)))
        return Budgeter(budgeter.template, budgeter.settings, budgeter.counter, changed)
    number = value if knob.name == "video_fps" else int(value)
    changes: Any = {knob.name: number}
    return budgeter.under(replace(budgeter.settings, **changes))


def plain(value: float) -> float:
    """A number without the noise of its unit."""
    return round(value, 2)
