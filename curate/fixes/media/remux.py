"""VID301, VID103: the coded pictures and sound as they are, in an MP4, whose tables state their number and times."""

from __future__ import annotations

from pathlib import Path

from curate.fixes.protocol import CannotMend
from curate.media.make.containers import count_same_frames, stated_frames
from curate.media.make.streams import copy_streams, prove_count
from validators.probes.facts import Health, MediaFacts


def has_no_count(facts: MediaFacts) -> bool:
    """Whether a healthy video states no number of frames."""
    return facts.health is Health.OK and facts.frames == 0 and facts.decoded is not None


def has_no_times(facts: MediaFacts) -> bool:
    """Whether a healthy video lacks the duration or the rate that the trainer computes with."""
    if facts.health is not Health.OK:
        return False
    return (facts.duration is None and facts.frames > 0) or facts.fps == 0 or facts.duration == 0


def remux(source: Path, target: Path) -> str:
    """Copy the streams without decoding; the copy gives the very same frames."""
    _, left_out = copy_streams(source, target)
    count = count_same_frames(source, target)
    promised = stated_frames(source)
    if promised > count:
        raise CannotMend(f"only {count} of its {promised} frames can be reached")
    prove_count(target, count)
    return f"copied into an MP4 that states the number of frames, {count}{left_out}"
