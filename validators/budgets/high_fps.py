"""Which frames of a video MiniCPM-V 4.5 is shown, how many share one block of tokens, and when each of them was.

Source: the model's own page (openbmb/MiniCPM-V-4_5, README.md, Chat with Video: encode_video) and its web demo, which
adds DOUBLE_FRAME_DURATION. LLaMA-Factory's names for the numbers: video_fps, video_maxlen (MAX_NUM_FRAMES: the most
blocks), packing_maxlen (MAX_NUM_PACKING), time_scale, double_frame_duration.

Three things differ from the published lines, each where those leave their own limits. There are never more blocks than
video_maxlen: a fraction of a second after the last whole one cannot add some, nor can doubling. Never more frames than
the file has. And at less than one frame a second a long video is not cut down to video_maxlen seconds' worth (the
published minimum compares frames with seconds).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from validators.numbers import MOST
from validators.probes.facts import MediaFacts
from validators.settings import TrainerSettings

DOUBLED_FPS = 5
"""Up to this video_fps a short clip gives twice as many frames, two in a block."""
MOST_PACKED = 6
"""Frames in a block at most; README.md: "valid range: 1-6"."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Ordinals of the frames that are taken, ascending, and how many of them share a block of tokens."""

    indices: tuple[int, ...]
    pack: int

    def frames(self, decoded: int | None) -> int:
        """How many of them really decode; all where `decoded`, a file's own count, is None."""
        return len(self.indices) if decoded is None else sum(index < decoded for index in self.indices)

    def blocks(self, decoded: int | None) -> int:
        """Blocks of the frames that really decode."""
        return -(-self.frames(decoded) // self.pack)


def sample(total: int, seconds: float, limits: TrainerSettings) -> Sample:
    """The frames of a video of `total` frames, `seconds` long, in an even rate, each from the middle of its share.

    total: 1 or more. seconds: 0 or more, and finite. The limits must be such that `refusal` has nothing against them.
    """
    fps, most = limits.video_fps, limits.video_maxlen
    native = max(1, round(total / seconds)) if seconds else 1
    if seconds < limits.double_frame_duration and fps <= DOUBLED_FPS and limits.packing_maxlen > 1:
        pack, count = 2, round(min(2 * fps, native) * seconds)
    elif fps * int(seconds) <= most:
        pack, count = 1, round(min(fps, native) * seconds)
    else:
        pack = math.ceil(seconds * fps / most)
        count = round(seconds * fps) if pack <= limits.packing_maxlen else most * limits.packing_maxlen
        pack = min(pack, limits.packing_maxlen)
    count = max(1, min(count, total, most * pack))
    share = total / count
    return Sample(tuple(int(number * share + share / 2) for number in range(count)), pack)


def sample_of(facts: MediaFacts, limits: TrainerSettings) -> Sample | None:
    """A video file's sample; None where frames are taken by upstream's rule (validators/budgets/resize.py)."""
    if not limits.enable_high_fps or refusal(limits) is not None or facts.frames < 1 or facts.duration is None:
        return None
    return sample(facts.frames, facts.duration, limits)


def temporal_ids(indices: tuple[int, ...], total: int, seconds: float, scale: float) -> list[int]:
    """The time of each frame in units of `scale` seconds: the nearest whole one that lies within the video.

    As published, the unit's number is the float quotient of its time, cut off: at 0.1 s one number in twenty is one
    too low (4.3 s is 42). The model is asked with such numbers, so it is trained with them, too.
    """
    last = max(0, math.ceil(seconds / scale) - 1)
    found = []
    for index in indices:
        at = index * seconds / total
        below = min(math.floor(at / scale), last)
        nearest = min(range(max(0, below - 1), min(last, below + 1) + 1), key=lambda unit: abs(unit * scale - at))
        found.append(int(nearest * scale / scale))
    return found


def refusal(limits: TrainerSettings) -> tuple[str, str] | None:
    """The key with a value that the sampling does not take, and what it takes; None where all is well."""
    if not 1 <= limits.packing_maxlen <= MOST_PACKED:
        return "packing_maxlen", f"1 to {MOST_PACKED} frames in a block, for which the model was made"
    if not 1 / MOST < limits.time_scale < MOST:
        return "time_scale", "seconds, more than 0 and no more than there are"
    if limits.double_frame_duration < 0:
        return "double_frame_duration", "seconds, 0 or more"
    if not 1 / MOST < limits.video_fps < MOST:
        return "video_fps", "frames a second, more than 0 and no more than there are"
    if limits.video_maxlen < 1:
        return "video_maxlen", "1 block or more"
    return None
