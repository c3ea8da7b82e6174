"""MiniCPM-V 4.6: an overview and slices whose tokens depend on their size; videos stop the trainer.

Sources: llamafactory 0.9.5, mm_plugin.py: MiniCPMV4_6Plugin; transformers 5.7.0 (the first with this model),
models/minicpmv4_6/image_processing_pil_minicpmv4_6.py (get_sliced_grid, find_best_resize, get_refine_size) and
processing_minicpmv4_6.py (default_use_image_id, slice_mode, image_token). Images reach the processor in their own
size: image_max_pixels and image_min_pixels have no effect.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from validators.budgets.config_values import Config, flag, number, text
from validators.budgets.family import Block, Crash, Family, Placed, Run, Why
from validators.budgets.minicpm_v import own_marks, sliced_grid
from validators.budgets.resize import Size
from validators.model import MediaKind
from validators.settings import TrainerSettings

PAD = "<|image_pad|>"
OPEN, CLOSE, SLICE_OPEN, SLICE_CLOSE = "<image>", "</image>", "<slice>", "</slice>"
ID_OPEN, ID_CLOSE = "<image_id>", "</image_id>"
MERGE = 4  # two merges of 2 x 2 patches: sides are multiples of four patches, whatever the downsample mode


@dataclass(frozen=True, slots=True)
class Slicing:
    """Settings of the image processor; sizes in pixels."""

    max_slices: int = 9
    scale: int = 448
    patch: int = 14
    sliced: bool = True
    with_id: bool = True
    divisor: int = 16
    """Patches a token: 4 in mode "4x", else 16."""


def slicing_of(config: Config, mode: str | None) -> Slicing:
    """An image processor's config over the class defaults; `mode` (DOWNSAMPLE_MODE) overrides its own."""
    return Slicing(
        max_slices=number(config, "max_slice_nums", 9, most=1000),
        scale=number(config, "scale_resolution", 448),
        patch=number(config, "patch_size", 14),
        sliced=flag(config, "slice_mode", True),
        with_id=flag(config, "use_image_id", True),
        divisor=4 if (mode or text(config, "downsample_mode", "16x")) == "4x" else 16,
    )


def divisible(length: float, divisor: int) -> int:
    """The nearest multiple, at least one (ensure_divide)."""
    return max(round(length / divisor) * divisor, divisor)


def tokens_at(width: float, height: float, slicing: Slicing, upscale: bool) -> int:
    """Tokens of an overview or slice after its own resize (find_best_resize)."""
    if upscale or height * width > slicing.scale * slicing.scale:
        ratio = width / height
        height = int(slicing.scale / math.sqrt(ratio))
        width = int(height * ratio)
    edge = slicing.patch * MERGE
    return (divisible(height, edge) // slicing.patch) * (divisible(width, edge) // slicing.patch) // slicing.divisor


@dataclass(frozen=True, slots=True)
class MiniCPMV46(Family):
    """The family under one model's processor."""

    slicing: Slicing

    @property
    def features(self) -> tuple[str, ...]:
        """The pad token."""
        return (PAD,)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Pad token and the marks around overview, slices and image numbers."""
        return (PAD, OPEN, CLOSE, SLICE_OPEN, SLICE_CLOSE, ID_OPEN, ID_CLOSE)

    def rewritten(self, text: str, placed: Sequence[Placed]) -> str:
        """The plugin's own marks count as placeholders wherever they come from."""
        return own_marks(text, placed)

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """Blocks by each image's own size, numbered through the row; raises Crash for any video."""
        if any(item.kind is MediaKind.VIDEO for item in placed):
            if any(item.kind is MediaKind.IMAGE for item in placed):
                raise Crash("MiniCPM-V model does not support input images and videos at the same time.", Why.MIX)
            raise Crash("'NoneType' object is not subscriptable (videos of MiniCPM-V 4.6 have no target_sizes)")
        # Sizes are taken by the order of tags, which is that of the slots
        return [self.image(Size(item.facts.width, item.facts.height), item.slot) for item in placed]

    def image(self, size: Size, index: int) -> Block:
        """One image: its number, the overview, and rows of slices."""
        opening = f"{ID_OPEN}{index}{ID_CLOSE}{OPEN}" if self.slicing.with_id else OPEN
        slicing = self.slicing
        grid = sliced_grid(size, slicing.max_slices, slicing.scale) if slicing.sliced else None
        overview = Run(PAD, tokens_at(size.width, size.height, self.slicing, upscale=grid is None))
        if grid is None:
            return Block((opening, overview, CLOSE))
        columns, rows = grid
        width, height = divisible(size.width, columns) / columns, divisible(size.height, rows) / rows
        piece = Run(PAD, tokens_at(width, height, self.slicing, upscale=True))
        parts: list[str | Run] = [opening, overview]
        for number_of_slice in range(columns * rows):
            before = CLOSE if number_of_slice == 0 else SLICE_CLOSE
            line = "\n" if number_of_slice and number_of_slice % columns == 0 else ""
            parts += [f"{before}{line}{SLICE_OPEN}", piece]
        return Block((*parts, SLICE_CLOSE))


def make(settings: TrainerSettings, configs: Mapping[str, Config]) -> MiniCPMV46:
    """The family for a model's processor configs; the environment's DOWNSAMPLE_MODE counts as in the plugin."""
    return MiniCPMV46(slicing_of(configs["image"], os.environ.get("DOWNSAMPLE_MODE")))
