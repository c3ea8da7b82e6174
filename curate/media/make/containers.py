"""Reading videos and sounds by PyAV without following what they point to, and comparing what they show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from curate.media.make.refusal import CannotMake
from validators.probes.opening import is_dangerous, opened
from validators.probes.video import MAX_COUNTED, MAX_PIXELS

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame

TIMES = {"fflags": "+genpts"}


@contextmanager
def read(source: Path) -> Iterator[InputContainer]:
    """The open container, with times for packets that have none; raises CannotMake for a still picture, Elsewhere for a
    playlist, or what PyAV raises."""
    if is_dangerous(source):
        raise CannotMake("a still picture, on which FFmpeg may end the process")
    with opened(source, TIMES) as container:
        yield container


def frames_of(source: Path) -> Iterator[VideoFrame]:
    """The frames that the trainer's decoding gives (mm_plugin.py: _regularize_videos); CannotMake past a bound."""
    with read(source) as container:
        stream = container.streams.video[0]
        container.seek(0)
        yield from bounded(container.decode(stream))


def bounded(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """The frames; CannotMake where they do not end."""
    pixels = 0
    for number, frame in enumerate(frames):
        pixels += frame.width * frame.height
        if number >= MAX_COUNTED or pixels > MAX_PIXELS:
            raise CannotMake(f"more than {MAX_COUNTED} frames, or {MAX_PIXELS >> 30} gigapixels of them")
        yield frame


def count_same_frames(source: Path, copy: Path) -> int:
    """The number of frames; CannotMake unless both files give the same."""
    count = 0
    for one, other in zip_longest(frames_of(source), frames_of(copy)):
        if one is None or other is None or fingerprint(one) != fingerprint(other):
            raise CannotMake(f"its copy would show something else from frame {count} on")
        count += 1
    return count


def fingerprint(frame: VideoFrame) -> tuple[int, int, int]:
    """A frame's size and a checksum of its pixels."""
    try:
        pixels = frame.to_ndarray()
    except (ValueError, AssertionError):  # a pixel format that PyAV has no array for, or none with odd sides
        pixels = frame.reformat(format="rgb24").to_ndarray()
    return frame.width, frame.height, crc32(pixels.tobytes())


def stated_frames(path: Path) -> int:
    """The number of frames that the container states for its first video stream."""
    with read(path) as container:
        stated = [stream.frames for stream in container.streams.video]
    return stated[0]
