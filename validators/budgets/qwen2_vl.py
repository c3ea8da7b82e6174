"""Qwen2-VL and Qwen2.5-VL: one token for each merged patch, after two resizes.

Sources: llamafactory 0.9.5, mm_plugin.py: Qwen2VLPlugin (_preprocess_image, _get_qwen_video_grid_metadata,
process_messages); transformers 5.6.0, models/qwen2_vl/image_processing_qwen2_vl.py and
video_processing_qwen2_vl.py: smart_resize and the default sizes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from validators.budgets.family import Block, Family, RowMedia
from validators.budgets.resize import Size, decoded_frames, regularize, sampled_frames
from validators.model import MediaKind
from validators.probes.facts import MediaFacts
from validators.settings import TrainerSettings

MARKER = "<|vision_start|>"
MIN_SIDE = 28
MAX_RATIO, RATIO_AFTER = 200, 180


class TooSlim(ValueError):
    """A ratio of sides over 200, which smart_resize refuses."""


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """A processor's patches: sides in pixels, limits in pixels of area."""

    patch: int = 14
    merge: int = 2
    temporal: int = 2
    min_pixels: int = 56 * 56
    max_pixels: int = 28 * 28 * 1280


IMAGE_GRID = PatchGrid()
VIDEO_GRID = PatchGrid(min_pixels=128 * 28 * 28, max_pixels=28 * 28 * 768)


def grid_of(config: Mapping[str, object], default: PatchGrid) -> PatchGrid:
    """A processor's config over its class defaults; min_pixels and max_pixels override `size`, as in the class."""
    size = config.get("size")
    sizes = size if isinstance(size, Mapping) else {}

    def pick(value: object, fallback: int) -> int:
        return value if isinstance(value, int) and not isinstance(value, bool) else fallback

    return PatchGrid(
        patch=pick(config.get("patch_size"), default.patch),
        merge=pick(config.get("merge_size"), default.merge),
        temporal=pick(config.get("temporal_patch_size"), default.temporal),
        min_pixels=pick(config.get("min_pixels"), pick(sizes.get("shortest_edge"), default.min_pixels)),
        max_pixels=pick(config.get("max_pixels"), pick(sizes.get("longest_edge"), default.max_pixels)),
    )


def smart_resize(size: Size, grid: PatchGrid) -> Size:
    """Sides that are multiples of patch * merge, with the area inside the processor's limits."""
    width, height, factor = size.width, size.height, grid.patch * grid.merge
    if max(width, height) / min(width, height) > MAX_RATIO:
        raise TooSlim(f"{width}x{height} has a ratio of sides over {MAX_RATIO}")
    new_height, new_width = round(height / factor) * factor, round(width / factor) * factor
    if new_height * new_width > grid.max_pixels:
        beta = math.sqrt((height * width) / grid.max_pixels)
        new_height = max(factor, math.floor(height / beta / factor) * factor)
        new_width = max(factor, math.floor(width / beta / factor) * factor)
    elif new_height * new_width < grid.min_pixels:
        beta = math.sqrt(grid.min_pixels / (height * width))
        new_height = math.ceil(height * beta / factor) * factor
        new_width = math.ceil(width * beta / factor) * factor
    return Size(new_width, new_height)


def qwen_regularize(size: Size, max_pixels: int, min_pixels: int) -> Size:
    """The common resize, then the family's own floors for small and slim images."""
    common = regularize(size, max_pixels, min_pixels)
    width, height = common.width, common.height
    if min(width, height) < MIN_SIDE:
        width, height = max(width, MIN_SIDE), max(height, MIN_SIDE)
    if width / height > MAX_RATIO:
        width = height * RATIO_AFTER
    if height / width > MAX_RATIO:
        height = width * RATIO_AFTER
    return Size(width, height)


def grid_tokens(size: Size, frames: int, grid: PatchGrid) -> int:
    """Tokens of `frames` frames of that size (1 for an image)."""
    resized = smart_resize(size, grid)
    times = math.ceil(frames / grid.temporal)
    return times * (resized.height // grid.patch) * (resized.width // grid.patch) // grid.merge**2


@dataclass(frozen=True, slots=True)
class Qwen2VL(Family):
    """The family, ready to count with one model's processors and one run's settings."""

    settings: TrainerSettings
    image_grid: PatchGrid
    video_grid: PatchGrid

    def blocks(self, media: RowMedia) -> list[Block]:
        """One block a placeholder: vision start, pads, vision end."""
        return [
            Block(MARKER, 2 + (self.image(facts) if kind is MediaKind.IMAGE else self.video(facts)))
            for kind, facts in media
        ]

    def image(self, facts: MediaFacts) -> int:
        """Pad tokens of one image."""
        limits = self.settings
        size = qwen_regularize(Size(facts.width, facts.height), limits.image_max_pixels, limits.image_min_pixels)
        return grid_tokens(size, 1, self.image_grid)

    def video(self, facts: MediaFacts) -> int:
        """Pad tokens of one video; an odd number of frames is made even by repeating the last."""
        limits = self.settings
        # Where the header has duration and rate the trainer counts indices, not frames that decode.
        by_header = facts.duration is not None and facts.fps > 0
        count = (sampled_frames if by_header else decoded_frames)(facts, limits.video_fps, limits.video_maxlen)
        size = qwen_regularize(Size(facts.width, facts.height), limits.video_max_pixels, limits.video_min_pixels)
        return grid_tokens(size, count + count % 2, self.video_grid)


def make(settings: TrainerSettings, image: Mapping[str, object], video: Mapping[str, object]) -> Qwen2VL:
    """The family for a model's processor configs."""
    return Qwen2VL(settings, grid_of(image, IMAGE_GRID), grid_of(video, VIDEO_GRID))
