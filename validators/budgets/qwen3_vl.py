"""Qwen3-VL, Qwen3.5 and Qwen3.6: as Qwen2-VL, but each pair of a video's frames is a unit with its time before it.

Sources: llamafactory 0.9.5, mm_plugin.py: Qwen3VLPlugin (process_messages, _get_qwen_video_resize); transformers
5.6.0, models/qwen3_vl/video_processing_qwen3_vl.py (smart_resize, default sizes) and processing_qwen3_vl.py
(_calculate_timestamps). Images go through Qwen2-VL's image processor.

The trainer takes the number of units from the row's first video for all of them, and the times from the video whose
index is that of the message: a video in a later message, or a longer first video, can end in an IndexError, and two
videos of unlike length in a mismatch of tokens and features (step_fault).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from validators.budgets.family import Block, Crash, Placed, Run, Why
from validators.budgets.qwen2_vl import (
    IMAGE_GRID,
    IMAGE_PROCESSORS,
    MAX_RATIO,
    Grid,
    PatchGrid,
    QwenVision,
    broken,
    by_header,
    even_frames,
    frame_size,
    grid_of,
    image_grid,
    is_known,
    mismatch,
    refuse_broken,
    vision_tokens,
)
from validators.budgets.resize import MOST_FRAMES, Size, sampled_frames
from validators.model import MediaKind
from validators.probes.facts import MediaFacts
from validators.settings import TrainerSettings

VIDEO_GRID = PatchGrid(patch=16, min_pixels=128 * 32 * 32, max_pixels=32 * 32 * 768)
VIDEO_PROCESSORS = ("Qwen3VLVideoProcessor", *IMAGE_PROCESSORS)


def smart_resize(size: Size, frames: int, grid: PatchGrid) -> Size:
    """As for images, but the limits are for all frames together; Crash for sides below patch * merge."""
    width, height, factor = size.width, size.height, grid.factor
    if frames == 0:
        raise Crash("a video of which no frame is sampled")
    if height < factor or width < factor:
        raise Crash(f"frames of {width}x{height}: both sides must be at least {factor}", Why.SIZE)
    if max(width, height) / min(width, height) > MAX_RATIO:
        raise Crash(f"{width}x{height} has a ratio of sides over {MAX_RATIO}", Why.SIZE)
    new_height, new_width = round(height / factor) * factor, round(width / factor) * factor
    volume = math.ceil(frames / grid.temporal) * grid.temporal * new_height * new_width
    if volume > grid.max_pixels:
        beta = math.sqrt((frames * height * width) / grid.max_pixels)
        new_height = max(factor, math.floor(height / beta / factor) * factor)
        new_width = max(factor, math.floor(width / beta / factor) * factor)
    elif volume < grid.min_pixels:
        beta = math.sqrt(grid.min_pixels / (frames * height * width))
        new_height = math.ceil(height * beta / factor) * factor
        new_width = math.ceil(width * beta / factor) * factor
    return Size(new_width, new_height)


def sample_times(facts: MediaFacts, settings: TrainerSettings, merge: int) -> list[float]:
    """Seconds of each unit of frames: the mean of its first and its last sampled frame.

    Indices go through the trainer's fps and back, in its order of floating-point operations; they are those that are
    sampled, whether or not the frames decode.
    """
    import numpy as np

    last = settings.video_maxlen - 1 if facts.frames == 0 else facts.frames - 1
    count = sampled_frames(facts, settings.video_fps, settings.video_maxlen)
    if count > MOST_FRAMES:  # no cutoff_len holds them
        raise Crash(f"{count} frames to sample of a stream without a count, as many times to write")
    indices = np.linspace(0, last, count).astype(np.int32)  # of a list of frames: all of them
    with np.errstate(all="ignore"):  # at video_fps 0 numpy's quotient is nan, and so the trainer writes it
        positions = indices if facts.listed else indices / facts.fps * settings.video_fps
        seconds = positions / np.float64(settings.video_fps)
    seconds = np.append(seconds, [seconds[-1:]] * (-count % merge))
    times: list[float] = ((seconds[::merge] + seconds[merge - 1 :: merge]) / 2).tolist()
    return times


@dataclass(frozen=True, slots=True)
class Qwen3VL(QwenVision):
    """Qwen3-VL and its successors."""

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """Images as in Qwen2-VL; videos as many units as the first video has, each after `<0.3 seconds>`."""
        header = by_header(placed)
        if not header:
            refuse_broken(placed)
        videos = sorted((item for item in placed if item.kind is MediaKind.VIDEO), key=lambda item: item.slot)
        grids = {item.slot: self.grid(item.facts, header) for item in videos}
        units = grids[videos[0].slot].times if videos else 0
        blocks = []
        for item in placed:
            match item.kind:
                case MediaKind.IMAGE:
                    tokens = image_grid(item.facts, self.settings, self.image_grid).tokens(self.image_grid.merge)
                    blocks.append(self.special.block(self.special.image, tokens))
                case MediaKind.VIDEO:
                    if item.turn >= len(videos):
                        raise Crash(
                            f"a video in message {item.turn} of a row with {len(videos)}: "
                            "IndexError, as the trainer looks for its times at the message's number"
                        )
                    times = sample_times(videos[item.turn].facts, self.settings, self.video_grid.merge)
                    blocks.append(self.video(grids[item.slot], units, times))
                case _:
                    raise Crash("This model does not support audio input")
        return blocks

    def step_fault(self, placed: Sequence[Placed]) -> str:
        """The model gets other features than the placeholders have tokens.

        Frames that do not decode, or a later video with another number of units than the first. Takes rows that
        expand() does not refuse.
        """
        videos = sorted((item for item in placed if item.kind is MediaKind.VIDEO), key=lambda item: item.slot)
        if fault := broken([item.facts for item in videos]):
            return fault
        merge = self.video_grid.merge
        try:
            counted = [self.grid(item.facts, by_header(placed)) for item in videos]
            decoded = sum(self.grid(item.facts, False).tokens(merge) for item in videos)
        except Crash as fault_at_step:
            return str(fault_at_step)
        units = counted[0].times if counted else 0
        return mismatch(units * sum(grid.frame_tokens(merge) for grid in counted), decoded)

    def grid(self, facts: MediaFacts, header: bool) -> Grid:
        """The patches of one video."""
        frames = even_frames(facts, self.settings, header)
        size = smart_resize(frame_size(facts, self.settings), frames, self.video_grid)
        patch = self.video_grid.patch
        return Grid(math.ceil(frames / self.video_grid.temporal), size.height // patch, size.width // patch)

    def video(self, grid: Grid, units: int, times: Sequence[float]) -> Block:
        """One video's units."""
        if units > len(times):
            raise Crash(f"{units} units of frames in the row's first video, {len(times)} times: IndexError")
        run = Run(self.special.video, grid.frame_tokens(self.video_grid.merge))
        parts: list[str | Run] = []
        for time in times[:units]:
            parts += [f"<{time:.1f} seconds>{self.special.start}", run, self.special.end]
        return Block(tuple(parts))


def make(settings: TrainerSettings, configs: Mapping[str, Mapping[str, object]]) -> Qwen3VL | None:
    """The family for a model's processor configs; None where they name other classes."""
    image, video = configs["image"], configs["video"]
    if not is_known(image, "image_processor_type", IMAGE_PROCESSORS):
        return None
    if not is_known(video, "video_processor_type", VIDEO_PROCESSORS):
        return None
    return Qwen3VL(
        settings, grid_of(image, IMAGE_GRID), grid_of(video, VIDEO_GRID, pixel_keys=False), vision_tokens(settings)
    )
