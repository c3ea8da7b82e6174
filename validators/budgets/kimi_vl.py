"""Kimi-VL: a token for each merged patch of an image of native size.

Sources: llamafactory 0.9.5, mm_plugin.py: KimiVLPlugin, MMPluginMixin._get_mm_inputs; the remote code that the models
ship, image_processing_kimi_vl.py of moonshotai/Kimi-VL-A3B (rescale, patchify).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from validators.budgets.config_values import Config, flag, number, sides
from validators.budgets.family import Block, Crash, Family, Placed, Run, Why
from validators.budgets.llava import regularized
from validators.budgets.resize import Size
from validators.settings import TrainerSettings

PAD = "<|media_pad|>"
OPEN, CONTENT, CLOSE = "<|media_start|>", "<|media_content|>", "<|media_end|>"
MOST_PATCHES = 512  # a side's position embeddings: as many patches are one too many


@dataclass(frozen=True, slots=True)
class Patching:
    """Settings of the image processor; `patch` in pixels, merges in patches, `limit` in patches an image."""

    patch: int = 14
    merge_down: int = 2
    merge_across: int = 2
    limit: int = 4096
    padded: bool = False
    """Whether sides grow to whole merged patches (the released models) or are cropped to whole patches."""


def patching_of(config: Config) -> Patching:
    """An image processor's config over the class defaults."""
    merges = sides(config.get("merge_kernel_size"), True)
    return Patching(
        patch=number(config, "patch_size", 14),
        merge_down=merges.get("height", 2),
        merge_across=merges.get("width", 2),
        limit=number(config, "in_token_limit", 4096, most=1 << 30),
        padded=flag(config, "pad_input", False),
    )


def tokens_of(size: Size, patching: Patching) -> int:
    """Tokens of one image of that size; raises Crash where it is too long for the position embeddings."""
    width, height, patch = size.width, size.height, patching.patch
    patches = (width // patch) * (height // patch)
    if patches > patching.limit:
        scale = math.sqrt(patching.limit / patches)
        width, height = int(width * scale), int(height * scale)
        if width * height == 0:
            raise Crash(f"height and width must be > 0: {size.width}x{size.height} becomes {width}x{height}", Why.SIZE)
    if patching.padded:
        unit_across, unit_down = patch * patching.merge_across, patch * patching.merge_down
        width, height = -(-width // unit_across) * unit_across, -(-height // unit_down) * unit_down
    across, down = width // patch, height // patch
    if max(across, down) >= MOST_PATCHES:
        raise Crash(f"Exceed pos emb: {size.width}x{size.height} has a side of {max(across, down)} patches", Why.SIZE)
    return across * down // (patching.merge_down * patching.merge_across)


@dataclass(frozen=True, slots=True)
class KimiVL(Family):
    """The family under one run's settings and one model's processor."""

    settings: TrainerSettings
    patching: Patching

    @property
    def features(self) -> tuple[str, ...]:
        """The pad token."""
        return (PAD,)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Opening, content, pad and closing token."""
        return (OPEN, CONTENT, PAD, CLOSE)

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """A run of pad tokens for each image, by its size; raises Crash."""
        counts = [tokens_of(size, self.patching) for size in regularized(self.settings, placed, own_code=True)]
        return [Block((f"{OPEN}image{CONTENT}", Run(PAD, counts[item.slot]), CLOSE)) for item in placed]


def make(settings: TrainerSettings, configs: Mapping[str, Config]) -> KimiVL:
    """The family for a model's processor configs."""
    return KimiVL(settings, patching_of(configs["image"]))
