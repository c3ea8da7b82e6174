"""The coded pictures and sound as they are, in an MP4, whose tables state their number and times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from curate.media.make.containers import read, stated_frames
from curate.media.make.refusal import CannotMake
from validators.probes.video import MAX_COUNTED

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

    Copied = TypeVar("Copied", bound=Stream)

MP4_OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact"}  # bitexact: no version of FFmpeg in the file
Keep = Callable[[int], bool]
"""Whether to copy the video packet of that number."""


def prove_count(copy: Path, count: int) -> None:
    """CannotMake unless the copy states as many frames as it gives."""
    stated = stated_frames(copy)
    if stated != count:
        raise CannotMake(f"an MP4 would state {stated} frames where {count} are shown")


@dataclass(frozen=True, slots=True)
class Times:
    """When the copied packets of a video are shown and decoded, and how long; in the stream's time base, from 0."""

    shown: Sequence[int]
    decoded: Sequence[int]
    lasting: Sequence[int]
    start: Fraction
    """Seconds that all streams are moved by."""


def copy_streams(source: Path, target: Path, keep: Keep = lambda _: True, *, whole: bool = False) -> tuple[int, str]:
    """Write the first video stream and the sound into an MP4 that starts at 0: the number of its frames, and words on
    sound that does not fit into one.

    The source is read twice: many containers do not say when a packet is to be decoded. whole: raise FFmpeg's error
    where the file breaks off, instead of ending there.
    """
    import av

    times = times_of(source, keep, whole)
    with read(source) as container, av.open(str(target), "w", format="mp4", options=MP4_OPTIONS) as output:
        video = container.streams.video[0]
        copies: dict[int, Stream] = {video.index: copied(output, video)}
        sounds, left_out = copied_sounds(container, output)
        copies |= sounds
        number = written = 0
        for packet in packets_of(container, list(copies), whole):
            index = packet.stream.index
            if index != video.index:
                shift(packet, times.start)
            else:
                number += 1
                if not keep(number - 1):
                    continue
                packet.pts, packet.dts = times.shown[written], times.decoded[written]
                packet.duration = times.lasting[written]
                written += 1
            packet.stream = copies[index]
            output.mux(packet)
    return written, left_out


def copied(output: OutputContainer, stream: Copied) -> Copied:
    """A stream of the output for packets of that one; CannotMake where MP4 has no name for its codec.

    opaque: else PyAV looks for an encoder of the decoder's name, and PyAV 14 opens it, too.
    """
    try:
        return output.add_stream_from_template(stream, opaque=True)
    except ValueError as error:
        name = stream.codec_context.name if stream.codec_context is not None else "a codec without a name"
        raise CannotMake(f"an MP4 cannot hold {name}") from error


def copied_sounds(container: InputContainer, output: OutputContainer) -> tuple[dict[int, Stream], str]:
    """Streams of the output for all sound that fits, and words on what does not; CannotMake where none does."""
    streams: dict[int, Stream] = {}
    left_out = []
    for sound in heard(container):
        try:
            streams[sound.index] = copied(output, sound)
        except CannotMake as reason:
            left_out.append(str(reason))
    if left_out and not streams:
        raise CannotMake(left_out[0])
    return streams, f", without one of its sounds ({left_out[0]})" if left_out else ""


def heard(container: InputContainer) -> list[AudioStream]:
    """The sounds that can be decoded here; PyAV's typing omits that others have no context."""
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


def packets_of(container: InputContainer, indices: Sequence[int], whole: bool = False) -> Iterator[Packet]:
    """The packets of these streams, without the empty ones that PyAV adds at the end, until the file breaks off."""
    import av

    streams = [container.streams[index] for index in indices]
    try:
        for packet in container.demux(*streams):
            if packet.size:
                yield packet
    except av.FFmpegError:  # what lies behind cannot be reached; whether too much lies there, its caller knows
        if whole:
            raise


def times_of(source: Path, keep: Keep, whole: bool) -> Times:
    """The times of the video's packets. CannotMake where it has none."""
    shown: list[int | None] = []
    decoded: list[int | None] = []
    lasting: list[int | None] = []
    number = 0
    with read(source) as container:
        video = container.streams.video[0]
        start: Fraction | None = None
        for packet in packets_of(container, [video.index, *(sound.index for sound in heard(container))], whole):
            if packet.pts is not None and packet.time_base is not None:
                begins = packet.pts * packet.time_base
                start = begins if start is None or begins < start else start
            if packet.stream.index != video.index:
                continue
            if keep(number):
                shown.append(packet.pts)
                decoded.append(packet.dts)
                lasting.append(packet.duration)
            number += 1
            if number > MAX_COUNTED:
                raise CannotMake(f"more than {MAX_COUNTED} frames")
        base, usual = video.time_base, one_frame(video)
    if start is None or base is None:
        raise CannotMake("its packets have no times")
    start = max(start, Fraction(0))  # what lies before 0, such as an encoder's lead-in, is not heard, and stays so
    return Times(*completed(shown, decoded, lasting, round(start / base), usual), start)


def one_frame(video: VideoStream) -> int:
    """How long a frame lasts at the stream's rate, in its time base; 0 where it has none."""
    rate = video.average_rate or video.guessed_rate
    return round(1 / (rate * video.time_base)) if rate and video.time_base else 0


def completed(
    shown: Sequence[int | None],
    decoded: Sequence[int | None],
    lasting: Sequence[int | None],
    first: int,
    usual: int,
) -> tuple[list[int], list[int], list[int]]:
    """The times, moved by `first`, with what is missing computed from the rest."""
    known = [time - first for time in shown if time is not None]
    if len(known) < len(shown) or len(set(known)) < len(known):
        raise CannotMake("packets without times, or of the same time")
    stated = [time - first for time in decoded if time is not None]
    if len(stated) < len(known) or any(one >= other for one, other in pairwise(stated)):
        stated = decoding_times(known)
    gaps = [other - one for one, other in pairwise(stated)]
    gaps.append(gaps[-1] if gaps else usual)
    return known, stated, [length or gap for length, gap in zip(lasting, gaps, strict=True)]


def decoding_times(shown: Sequence[int]) -> list[int]:
    """Times in order, no packet decoded after it is shown: the times of showing in order, as much earlier as needed."""
    order = sorted(shown)
    delay = max((late - due for late, due in zip(order, shown, strict=True)), default=0)
    return [time - delay for time in order]


def shift(packet: Packet, start: Fraction) -> None:
    """Move a packet of sound by as much as the pictures."""
    if packet.time_base is None:
        return
    ticks = round(start / packet.time_base)
    packet.pts = packet.pts - ticks if packet.pts is not None else None
    packet.dts = packet.dts - ticks if packet.dts is not None else None
