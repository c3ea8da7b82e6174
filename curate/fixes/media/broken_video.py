"""VID101: what can still be decoded of a video that is cut off or damaged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.fixes.media.proving import MOST
from curate.fixes.protocol import CannotMend
from curate.media.make.containers import frames_of, read
from curate.media.make.streams import copy_streams, packets_of, prove_count
from validators.probes.video import MAX_COUNTED

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

MICROSECONDS = 1_000_000


def copy_what_decodes(source: Path, target: Path) -> str:
    """Copy the packets that decode, without those that need one that does not, if hardly any is missing."""
    sound, share = sound_packets(source)
    if share < MOST:
        raise CannotMend(f"only {share:.0%} of its frames can be decoded")
    _, left_out = copy_streams(source, target, lambda number: number < len(sound) and bool(sound[number]))
    prove_count(target, sum(1 for _ in frames_of(target)))
    return f"copied into an MP4 with {share:.1%} of its frames{left_out}"


def sound_packets(source: Path) -> tuple[bytearray, float]:
    """For each packet of the first video stream whether to keep it, and the share of the frames that are kept.

    After a packet that fails, those up to the next key frame are given up: they would decode to smears, and a decoder
    that is fed after an error may crash.
    """
    import av

    keep = bytearray()
    with read(source) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1  # so that an error is that of this packet
        waiting = False
        for packet in packets_of(container, [stream.index]):
            if len(keep) >= MAX_COUNTED:
                raise CannotMend(f"more than {MAX_COUNTED} frames")
            if waiting and packet.is_keyframe:
                stream.codec_context.flush_buffers()
                waiting = False
            waiting = waiting or packet.is_corrupt
            if not waiting:
                try:
                    stream.decode(packet)
                except (av.FFmpegError, ValueError):
                    waiting = True
            keep.append(not waiting)
        promised = max(len(keep), stream.frames or by_duration(container, stream))
    return keep, sum(keep) / promised if promised else 0.0


def by_duration(container: InputContainer, stream: VideoStream) -> int:
    """The number of frames that the header's duration and the rate make; 0 where it lacks one of them."""
    rate = stream.average_rate
    if rate is None:
        return 0
    if stream.duration is not None and stream.time_base is not None:
        return round(stream.duration * stream.time_base * rate)
    return round(container.duration * rate / MICROSECONDS) if container.duration else 0
