"""Sizes and frames as LLaMA-Factory hands them to a model's processor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from validators.budgets.family import Crash, Placed, Why
from validators.model import MediaKind
from validators.probes.facts import MediaFacts
from validators.settings import TrainerSettings

MOST_PIXELS = (1 << 31) - 1
"""Of a side: Pillow counts in C's int."""
MOST_AREA = 1 << 40
"""Pixels of a picture: 4 TiB, at Pillow's 4 bytes each."""
MOST_INDICES = 1 << 32
"""Frames to sample: 32 GiB, at numpy's 8 bytes each."""
MOST_FRAMES = 1 << 24
"""Of a video that was not decoded and states no number: six days, at 30 a second."""


class TooNarrow(Crash):
    """A size that cannot be resized: a side of 0 pixels, at which Pillow raises "height and width must be > 0", or of
    more than it can count, or a limit below 0, of which there is no square root."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Why.SIZE)


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int


def regularize(size: Size, max_pixels: int, min_pixels: int) -> Size:
    """The size after the trainer's own resize (llamafactory 0.9.5, mm_plugin.py: MMPluginMixin._preprocess_image).

    The float arithmetic and the truncation are the trainer's: int(width * sqrt(limit / area)).
    """
    width, height = size.width, size.height
    if width * height > max_pixels:
        if max_pixels < 0:
            raise TooNarrow(f"{size.width}x{size.height} under a limit of {max_pixels} pixels: math domain error")
        factor = math.sqrt(max_pixels / (width * height))
        width, height = int(width * factor), int(height * factor)
    if width * height == 0:
        raise TooNarrow(f"{size.width}x{size.height} becomes {width}x{height}")
    if width * height < min_pixels:
        factor = math.sqrt(min_pixels / (width * height))
        width, height = int(width * factor), int(height * factor)
        if max(width, height) > MOST_PIXELS or width * height > MOST_AREA:
            raise TooNarrow(f"{size.width}x{size.height} becomes {width:g}x{height:g}, which Pillow cannot hold")
    return Size(width, height)


def whole_frames(item: Placed, settings: TrainerSettings) -> int:
    """Frames of a video that the trainer decodes and hands on; raises Crash where there are none."""
    count = decoded_frames(item.facts, settings.video_fps, settings.video_maxlen)
    if count == 0:
        raise Crash("no frame of the video decodes")
    return count


def frame_size(item: Placed, settings: TrainerSettings) -> Size:
    """The size of a video's frames after the trainer's resize; raises Crash where they differ."""
    sizes = {
        regularize(Size(frame.width, frame.height), settings.video_max_pixels, settings.video_min_pixels)
        for frame in item.facts.listed or (item.facts,)
    }
    if len(sizes) > 1:
        raise Crash("all input arrays must have the same shape: frames of different sizes in one list", Why.SIZE)
    return sizes.pop()


def late_size_fault(placed: Sequence[Placed], settings: TrainerSettings) -> str:
    """Why the step stops at an image's size, where images are opened there for the first time; "" where it goes on."""
    try:
        for item in placed:
            if item.kind is MediaKind.IMAGE and item.facts.width:
                size = Size(item.facts.width, item.facts.height)
                regularize(size, settings.image_max_pixels, settings.image_min_pixels)
    except TooNarrow as fault:
        return str(fault)
    return ""


def sampled_frames(facts: MediaFacts, fps: float, maxlen: int) -> int:
    """How many frame indices the trainer samples from a file (mm_plugin.py: `_get_video_sample_indices`).

    A stream without a frame count gives the first `maxlen` indices, whatever fps says. Crash where fps gives no number
    of frames, or maxlen one below 0.
    """
    if facts.listed:
        return len(facts.listed)
    if facts.frames == 0:
        return checked(maxlen)
    frames = (facts.duration or 0.0) * fps
    if not math.isfinite(frames):
        raise Crash(f"{frames:g} frames at video_fps {fps:g}: cannot be made a whole number")
    return checked(min(facts.frames, maxlen, max(1, math.floor(frames))))


def checked(count: int) -> int:
    """A number of frames; Crash below 0, where np.linspace raises ValueError, and where it finds no memory."""
    if count < 0:
        raise Crash(f"{count} frames to sample: a number below 0")
    if count > MOST_INDICES:
        raise Crash(f"{count} frames to sample: no memory for their numbers")
    return count


def decoded_frames(facts: MediaFacts, fps: float, maxlen: int) -> int:
    """How many frames come out of decoding at those indices (mm_plugin.py: `_regularize_videos`).

    Indices are np.linspace(0, frames - 1, n) truncated to int; only those below the frames that really decode count.
    Crash at fps 0 where the length in seconds is a quotient of it: of a list of frames, and of a stream without one.
    """
    if fps == 0 and (facts.listed or facts.duration is None):
        raise Crash("the seconds of a video at video_fps 0: float division by zero")
    count = sampled_frames(facts, fps, maxlen)
    if facts.frames == 0:
        return min(count, facts.decoded if facts.decoded is not None else MOST_FRAMES)
    if facts.decoded is None or facts.decoded >= facts.frames:
        return count
    import numpy as np

    indices = np.linspace(0, facts.frames - 1, count).astype(np.int32)
    return int((indices < facts.decoded).sum())
