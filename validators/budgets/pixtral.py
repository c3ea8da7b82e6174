"""Pixtral and Mistral 3: a token for each (merged) patch, a break after each row of them.

Sources: llamafactory 0.9.5, mm_plugin.py: PixtralPlugin; transformers 4.57.1 to 5.6.0,
models/pixtral/image_processing_pixtral.py (get_resize_output_image_size) and processing_pixtral.py (patch_size,
spatial_merge_size). The plugin divides by patch_size * spatial_merge_size what the image processor made a multiple of
its own patch_size, so that merged patches at the edges are lost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from validators.budgets.config_values import Config, flag, number, sides, text
from validators.budgets.family import Block, Crash, Family, Placed, Run, Why
from validators.budgets.llava import regularized
from validators.budgets.resize import Size
from validators.settings import TrainerSettings


@dataclass(frozen=True, slots=True)
class Patches:
    """Settings of image processor and processor; sizes in pixels."""

    limit: Size
    """The sides that an image is shrunk into."""
    unit: Size
    """The image processor's patch: sides become multiples of it."""
    step: int = 16
    """The processor's patch_size * spatial_merge_size: one token each."""
    resize: bool = True
    image: str = "[IMG]"
    line_break: str = "[IMG_BREAK]"
    end: str = "[IMG_END]"


def patches_of(image: Config, processor: Config) -> Patches | None:
    """Both configs over the defaults of PixtralImageProcessor and PixtralProcessor; None for sizes of other form."""
    size = sides(image.get("size") or {"longest_edge": 1024}, True)
    unit = sides(image.get("patch_size") or 16, True)
    edge = size.get("longest_edge", 0)
    width, height = edge or size.get("width", 0), edge or size.get("height", 0)
    step = number(processor, "patch_size", 16) * number(processor, "spatial_merge_size", 1)
    if min(width, height, unit.get("width", 0), unit.get("height", 0), step) < 1:
        return None
    return Patches(
        limit=Size(width, height),
        unit=Size(unit["width"], unit["height"]),
        step=step,
        resize=flag(image, "do_resize", True),
        line_break=text(processor, "image_break_token", "[IMG_BREAK]"),
        end=text(processor, "image_end_token", "[IMG_END]"),
    )


def resized(size: Size, patches: Patches) -> Size:
    """Shrunk into the limit, then up to multiples of the patch; raises Crash where a side becomes 0."""
    if not patches.resize:
        return size
    width, height = size.width, size.height
    ratio = max(height / patches.limit.height, width / patches.limit.width)
    if ratio > 1:
        width, height = math.floor(width / ratio), math.floor(height / ratio)
    if min(width, height) == 0:
        # The backend takes a side of 0 for one that is not set
        raise Crash(
            f"Size must contain 'height' and 'width' keys: a side of {size.width}x{size.height} becomes 0", Why.SIZE
        )
    unit = patches.unit
    return Size(((width - 1) // unit.width + 1) * unit.width, ((height - 1) // unit.height + 1) * unit.height)


@dataclass(frozen=True, slots=True)
class Pixtral(Family):
    """The family under one run's settings and one model's processor."""

    settings: TrainerSettings
    patches: Patches

    @property
    def features(self) -> tuple[str, ...]:
        """The image token."""
        return (self.patches.image,)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Image, break and end token."""
        return (self.patches.image, self.patches.line_break, self.patches.end)

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """Rows of image tokens for each image; raises Crash."""
        sizes = [resized(size, self.patches) for size in regularized(self.settings, placed)]
        return [self.image(sizes[item.slot]) for item in placed]

    def image(self, size: Size) -> Block:
        """One image of that size."""
        columns, rows = size.width // self.patches.step, size.height // self.patches.step
        if rows == 0:
            raise Crash("list assignment index out of range (the image is lower than a merged patch)", Why.SIZE)
        row = (Run(self.patches.image, columns), self.patches.line_break)
        return Block((*(row * rows)[:-1], self.patches.end))


def make(settings: TrainerSettings, configs: Mapping[str, Config]) -> Pixtral | None:
    """The family for a model's processor configs; None where the sizes have no form that is known."""
    patches = patches_of(configs["image"], configs["processor"])
    return None if patches is None else Pixtral(settings, patches)
