"""Videos with as many frames as a row has room for, as the trainer samples and counts them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

from curate.fixes.media.fewer_frames import Screening, screening, thinned
from curate.steps.step import MakeMedium
from curate.steps.tokens import Counting
from validators.budgets.resize import decoded_frames
from validators.model import MediaKind
from validators.probes.facts import Health, MediaFacts
from validators.replay.budget import RowBudget

LEAST = 2
"""Frames below which nothing moves; families that take frames in pairs would repeat a single one."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A video of a row: how it is shown, and the frames that the trainer takes of it."""

    facts: MediaFacts
    shown: Screening
    taken: int

    def with_frames(self, count: int) -> MediaFacts:
        """The facts of a copy of so many frames; the video's own where that is all that is taken."""
        if count >= self.taken:
            return self.facts
        seconds = self.shown.lasting
        return MediaFacts(
            Health.OK,
            width=self.shown.width,
            height=self.shown.height,
            frames=count,
            duration=float(seconds),
            fps=float(count / seconds),
        )


@dataclass(frozen=True, slots=True)
class Thinned:
    """A row's videos after the change, and what was done in words."""

    videos: tuple[str, ...]
    words: str


def thin_videos(
    videos: tuple[str, ...], budget: RowBudget, counting: Counting, media_root: Path, make: MakeMedium
) -> Thinned | None:
    """The videos with the most frames with which the row fits; None where it has none, or fits with no number.

    CannotMend where a copy cannot be made.
    """
    clips = dict(clips_of(videos, budget, counting, media_root))
    if not clips:
        return None

    def fits(counts: Mapping[int, int]) -> bool:
        tokens = counting.with_videos(budget, {slot: clips[slot].with_frames(count) for slot, count in counts.items()})
        return tokens is not None and tokens <= counting.cutoff_len

    counts = most({slot: clip.taken for slot, clip in clips.items()}, fits)
    if counts is None:
        return None
    made, words = list(videos), []
    for slot, count in counts.items():
        clip = clips[slot]
        if count < clip.taken:
            made[slot] = make(videos[slot], f"{count} frames", "mp4", partial(copy, count, clip.shown.lasting))
            words.append(f"videos[{slot}] with {count} of {clip.taken} frames")
    return Thinned(tuple(made), ", ".join(words))


def copy(count: int, seconds: Fraction, source: Path, target: Path) -> str:
    """A MakeMedium's last argument."""
    return thinned(source, target, count, seconds)


def clips_of(
    videos: tuple[str, ...], budget: RowBudget, counting: Counting, media_root: Path
) -> Iterator[tuple[int, Clip]]:
    """The row's videos of which fewer frames can be taken, by slot."""
    settings = counting.run.settings
    for medium in budget.skeleton.media if budget.skeleton is not None else ():
        placed, facts = medium.placed, medium.placed.facts
        if placed.kind is not MediaKind.VIDEO or facts.listed or facts.health is not Health.OK:
            continue
        taken = decoded_frames(facts, settings.video_fps, settings.video_maxlen)
        if taken > LEAST:
            yield placed.slot, Clip(facts, screening(media_root / videos[placed.slot], facts), taken)


def most(taken: Mapping[int, int], fits: Callable[[Mapping[int, int]], bool]) -> Mapping[int, int] | None:
    """The largest numbers that fit: no video has more frames than the others while it is cut, and what room is left
    then goes to one after the other. None where none fit.

    Every number is tried from above, as fewer frames may be larger ones (Qwen3-VL) and cost more.
    """
    for limit in range(max(taken.values()) - 1, LEAST - 1, -1):
        counts = {slot: min(count, limit) for slot, count in taken.items()}
        if fits(counts):
            break
    else:
        return None
    grown = len(counts) > 1
    while grown:
        grown = False
        for slot, count in taken.items():
            for more in (2, 1):  # two, as families that take frames in pairs give a single one as much room
                larger = {**counts, slot: counts[slot] + more}
                if larger[slot] <= count and fits(larger):
                    counts, grown = larger, True
                    break
    return counts
