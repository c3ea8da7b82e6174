"""A video with fewer frames in the same time: each shows what the video shows when its turn comes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from curate.fixes.media.proving import Proved
from curate.fixes.media.upright import encoding, frames_beside, turning
from curate.fixes.protocol import CannotMend
from curate.media.make.containers import bounded, frames_of, read
from curate.media.make.streams import MP4_OPTIONS, copied_sounds, one_frame, packets_of, prove_count
from validators.model import MediaKind
from validators.probes.facts import Alteration, MediaFacts
from validators.probes.video import MAX_COUNTED, matrix_of

if TYPE_CHECKING:
    from av.stream import Stream
    from av.video.frame import VideoFrame

FINEST = 65_535  # parts of a second by which a frame's length is told, at most: a limit of MPEG-4


@dataclass(frozen=True, slots=True)
class Screening:
    """A video as it is shown: seconds, and pixels when it stands upright."""

    lasting: Fraction
    width: int
    height: int


def screening(source: Path, facts: MediaFacts) -> Screening:
    """How a healthy video is shown; CannotMend where nothing tells how long it lasts."""
    turned = Alteration.ROTATED.value in facts.altered.split(",") and lies(source)
    width, height = (facts.height, facts.width) if turned else (facts.width, facts.height)
    return Screening(lasting(source), width, height)


def lies(source: Path) -> bool:
    """Whether players turn the video by a quarter."""
    first = next(frames_of(source), None)
    return first is not None and matrix_of(first)[0] == 0


def lasting(source: Path) -> Fraction:
    """Seconds of the first video stream: as its header says, else as its packets do."""
    first: int | None = None
    end = 0
    with read(source) as container:
        stream = container.streams.video[0]
        base, stated, usual = stream.time_base, stream.duration, one_frame(stream)
        for number, packet in enumerate(() if stated else packets_of(container, [stream.index])):
            if number >= MAX_COUNTED:
                raise CannotMend(f"more than {MAX_COUNTED} frames")
            if packet.pts is not None:
                first = packet.pts if first is None else min(first, packet.pts)
                end = max(end, packet.pts + (packet.duration or usual))
    ticks = stated or end - (first or 0)
    if base is None or ticks <= 0:
        raise CannotMend("nothing in it says how long it lasts")
    return ticks * base


def thinned(source: Path, target: Path, count: int, seconds: Fraction) -> str:
    """Write an upright MP4 of `count` frames that lasts as long, whole or not at all; the sound is copied.

    CannotMend where it cannot be made, or would not state that number of frames.
    """
    other = Proved(MediaKind.VIDEO, lambda facts: facts.frames != count, partial(thin, count=count, seconds=seconds))
    return other(source, target)


def thin(source: Path, target: Path, count: int, seconds: Fraction) -> str:
    """The copy itself, which may be left half written where this raises."""
    import av

    first = next(frames_of(source), None)
    if first is None or first.pts is None or first.time_base is None:
        raise CannotMend("no frame that has a time can be decoded")
    start, length = first.pts * first.time_base, (seconds / count).limit_denominator(FINEST)
    with read(source) as container, av.open(str(target), "w", format="mp4", options=MP4_OPTIONS) as output:
        video = container.streams.video[0]
        turn = turning(video, first)
        encoder = encoding(output, video, turn(first), length)
        sounds: dict[int, Stream] = {}
        try:
            sounds, left_out = copied_sounds(container, output)
        except CannotMend as reason:
            left_out = f", without its sound ({reason})"
        frames = bounded(frames_beside(container, video, sounds, output, start))
        # AVI has no times: where frames are stored in another order than they are shown, those are made up
        rate = video.average_rate if container.format.name == "avi" else None
        times = (start + number * length for number in range(count))
        for number, frame in enumerate(at_times(timed(frames, start, rate), times)):
            upright = turn(frame)
            upright.pts, upright.time_base = number, length
            upright.pict_type = 0  # else the encoder makes each the kind that it was
            output.mux(encoder.encode(upright))
        output.mux(encoder.encode(None))
    prove_count(target, count)
    return f"{count} frames, encoded anew{left_out}"


def timed(
    frames: Iterator[VideoFrame], start: Fraction, rate: Fraction | None
) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Frames with the seconds at which they are shown: their own, or by an even rate. CannotMend where those of their
    own do not go forward."""
    last: Fraction | None = None
    for number, frame in enumerate(frames):
        if rate:
            yield start + number / rate, frame
            continue
        if frame.pts is None or frame.time_base is None:
            raise CannotMend("frames without times")
        at = frame.pts * frame.time_base
        if last is not None and at <= last:
            raise CannotMend("frames whose times do not go forward")
        last = at
        yield at, frame


def at_times(frames: Iterator[tuple[Fraction, VideoFrame]], times: Iterator[Fraction]) -> Iterator[VideoFrame]:
    """What is shown at each of these times; all frames are read, as sound lies between them."""
    due = next(times, None)
    shown: VideoFrame | None = None
    for at, frame in frames:
        while due is not None and shown is not None and at > due:
            yield shown
            due = next(times, None)
        shown = frame
    while due is not None and shown is not None:
        yield shown
        due = next(times, None)
