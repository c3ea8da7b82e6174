"""Videos by a few of their frames: small grey copies at the same times from the start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from validators.probes.facts import MediaFacts
from validators.probes.opening import opened
from validators.traces.pictures import COARSE, MAX_PIXELS, SIDE, Copies, Pair, agree, near, packed, vectors

MOST = 12  # frames of a video
FIRST = 0.25  # seconds: fades and encoders' first frames left out
SLACK = 4  # one of so many frames may be another one
AGREEING = 0.5  # share of frames whose details must agree: a frame earlier or later may move them
STILL = 6.0  # grey levels: two copies that show nothing are the same if their mean is


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A video's length, and copies of its frames by their time in milliseconds."""

    seconds: float
    times: tuple[int, ...]
    copies: Copies


def times_of(seconds: float) -> list[float]:
    """Where frames are taken: a step that is a power of two, so that a longer video has those of a shorter one."""
    step = 0.5
    while seconds / step > MOST:
        step *= 2
    return [time for number in range(MOST) if (time := FIRST + number * step) < seconds - FIRST / 2]


def sighting_of(path: Path, facts: MediaFacts) -> Sighting | None:
    """The frames of a video whose header is sound; None where they cannot be decoded."""
    seconds = facts.duration or 0.0
    times = times_of(seconds)
    if not times or facts.width * facts.height > MAX_PIXELS:
        return None
    for read in READERS if facts.form in INDEXED else (by_av,):
        try:
            copies = np.stack(list(read(path, times)))
        except Exception:  # decoders raise what they like; the rules on videos say so
            continue
        return Sighting(seconds, tuple(round(time * 1000) for time in times), copies)
    return None


def by_decord(path: Path, times: Sequence[float]) -> Iterator[Copies]:
    """Through decord, which seeks by an index of all frames; ImportError where it is not installed."""
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    reader = decord.VideoReader(str(path), num_threads=1)
    starts = reader.get_frame_timestamp(np.arange(len(reader)))[:, 0]
    wanted = np.clip(np.searchsorted(starts - starts[0], times, side="right") - 1, 0, len(starts) - 1)
    for number in wanted:
        yield small(reader[int(number)].asnumpy().mean(axis=2).astype(np.uint8))


def by_av(path: Path, times: Sequence[float]) -> Iterator[Copies]:
    """Through PyAV: from the key frame before each time on."""
    with opened(path) as container:
        stream = container.streams.video[0]
        begin = float((stream.start_time or 0) * (stream.time_base or 0))
        for time in times:
            container.seek(int((begin + time) / float(stream.time_base or 1)), stream=stream)
            shown: Any = None
            for frame in container.decode(stream):
                if shown is not None and frame.time is not None and frame.time - begin > time:
                    break
                shown = frame
            yield small(shown.to_ndarray(format="rgb24").mean(axis=2).astype(np.uint8))


def small(grey: np.ndarray[Any, Any]) -> Copies:
    """A frame's copy."""
    from PIL import Image

    scaled = Image.fromarray(grey).resize((2 * SIDE, 2 * SIDE), Image.Resampling.BOX)
    return packed(np.asarray(scaled, dtype=np.float32))


def near_sightings(videos: Sequence[Sighting], least: float) -> Iterator[Pair]:
    """Pairs of videos with a frame that is alike: by number, the first before the second, with the likeness of all."""
    at: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, video in enumerate(videos):
        for place, time in enumerate(video.times):
            at[time].append((number, place))
    known: set[tuple[int, int]] = set()
    for members in at.values():
        copies = np.stack([videos[number].copies[place] for number, place in members])
        for left, right, _ in near(copies, least):
            pair = members[left][0], members[right][0]
            if pair not in known:
                known.add(pair)
                share = sight_likeness(videos[pair[0]], videos[pair[1]])
                if share >= least:
                    yield *pair, share


def sight_likeness(one: Sighting, other: Sighting) -> float:
    """The likeness of the frames at the same times, in order, the worst quarter left out: a cut may fall between two
    rates. 0 where details of most speak against it, or where there is little to see."""
    shared = sorted(set(one.times) & set(other.times))
    left = one.copies[[one.times.index(time) for time in shared]]
    right = other.copies[[other.times.index(time) for time in shared]]
    (shown, units), (other_shown, other_units) = vectors(left), vectors(right)
    both, mine, its = np.intersect1d(shown, other_shown, return_indices=True)
    if len(both) * SLACK < len(shared) or agree(left, right)[both].mean() <= AGREEING:
        return 0.0
    likeness = np.zeros(len(shared))
    likeness[both] = np.einsum("ij,ij->i", units[mine], other_units[its]).clip(0, 1)
    empty = np.setdiff1d(np.arange(len(shared)), np.union1d(shown, other_shown))
    means = [copies[empty, :COARSE].mean(axis=1) for copies in (left, right)]
    likeness[empty] = np.abs(means[0] - means[1]) <= STILL
    return float(np.sort(likeness)[len(shared) // SLACK])


READERS = (by_decord, by_av)
INDEXED = frozenset({"mov,mp4,m4a,3gp,3g2,mj2"})
"""Containers in which decord finds the frame of a time: in AVI it gives others."""
