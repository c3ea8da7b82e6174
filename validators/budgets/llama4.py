"""Llama 4: tiles of the canvas that scales an image best, then the whole image once more.

Sources: llamafactory 0.9.5, mm_plugin.py: Llama4Plugin, MMPluginMixin._get_mm_inputs; transformers 5.6.0,
models/llama4/image_processing_llama4.py, of 4.57.1 image_processing_llama4_fast.py (find_supported_resolutions,
get_best_fit) and processing_llama4.py (_prompt_split_image).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from validators.budgets.config_values import Config, flag, number, sides
from validators.budgets.family import Block, Crash, Family, Placed, Run
from validators.budgets.llava import regularized
from validators.budgets.resize import Size
from validators.settings import TrainerSettings

PATCH, OPEN, WHOLE, CLOSE = "<|patch|>", "<|image_start|>", "<|image|>", "<|image_end|>"
NEXT, LINE = "<|tile_x_separator|>", "<|tile_y_separator|>"


@dataclass(frozen=True, slots=True)
class Tiling:
    """Settings of image processor and processor; `tile` in pixels a side, `patches` a tile in tokens."""

    tile: int = 336
    most: int = 16
    largest: bool = False
    """Whether an image that can grow takes the largest canvas instead of the smallest (resize_to_max_canvas)."""
    patches: int = 144


def tiling_of(image: Config, processor: Config) -> Tiling | None:
    """Both configs over the class defaults; None for a tile that is not square, which the processor refuses."""
    size = sides(image.get("size") or {"height": 336, "width": 336}, True)
    tile, patch = size.get("height", 0), number(processor, "patch_size", 14)
    ratio = processor.get("pixel_shuffle_ratio", 0.5)
    if tile < 1 or tile != size.get("width") or patch < 1 or not isinstance(ratio, float) or not 0.01 < ratio < 1.4:
        return None
    return Tiling(
        tile=tile,
        most=number(image, "max_patches", 16, most=1000),
        largest=flag(image, "resize_to_max_canvas", False),
        patches=(tile // patch) * (tile // patch) // round(1.0 / ratio**2),
    )


@cache
def canvases(most: int) -> tuple[tuple[int, int], ...]:
    """Rows and columns of every canvas of at most so many tiles, in the processor's order: by ratio, as first met."""
    by_ratio: dict[float, list[tuple[int, int]]] = {}
    for tiles in range(most, 0, -1):
        for rows in range(1, tiles + 1):
            if tiles % rows == 0:
                by_ratio.setdefault(rows / (tiles // rows), []).append((rows, tiles // rows))
    return tuple(canvas for group in by_ratio.values() for canvas in group)


def best_canvas(size: Size, tiling: Tiling) -> tuple[int, int]:
    """Rows and columns of the canvas (get_best_fit), with scales in 32-bit floats as torch has them.

    Where canvases hold the image without shrinking it, the one that enlarges it least; else the one that shrinks it
    least. Of equal scales the smallest area wins.
    """
    import numpy as np

    options = np.array(canvases(tiling.most), dtype=np.int64) * tiling.tile
    across = options[:, 1].astype(np.float32) / np.float32(size.width)
    down = options[:, 0].astype(np.float32) / np.float32(size.height)
    scales = np.where(down > across, across, down)
    growing = scales[scales >= 1]
    chosen = (growing.max() if tiling.largest else growing.min()) if len(growing) else scales.max()
    equal = options[scales == chosen]
    rows, columns = equal[(equal[:, 0] * equal[:, 1]).argmin()] // tiling.tile
    return int(rows), int(columns)


@dataclass(frozen=True, slots=True)
class Llama4(Family):
    """The family under one run's settings and one model's processor."""

    settings: TrainerSettings
    tiling: Tiling

    @property
    def features(self) -> tuple[str, ...]:
        """The patch token."""
        return (PATCH,)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Patch token and the marks around images and tiles."""
        return (PATCH, OPEN, WHOLE, CLOSE, NEXT, LINE)

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """Tiles and the whole image for each image; raises Crash."""
        sizes = regularized(self.settings, placed)
        if sizes and self.tiling.largest and self.settings.trainer.has("llama4-forgets-the-largest-canvas"):
            raise Crash("UnboundLocalError: 'target_size_without_distortion' under resize_to_max_canvas")
        return [self.image(*best_canvas(sizes[item.slot], self.tiling)) for item in placed]

    def image(self, rows: int, columns: int) -> Block:
        """One image on a canvas of so many tiles; a single tile is the whole image."""
        tile, parts = Run(PATCH, self.tiling.patches), list[str | Run]()
        text = OPEN
        for number_of_tile in range(1, rows * columns + 1 if rows * columns > 1 else 1):
            parts += [text, tile]
            text = LINE if number_of_tile % columns == 0 else NEXT
        return Block((*parts, text + WHOLE, tile, CLOSE))


def make(settings: TrainerSettings, configs: Mapping[str, Config]) -> Llama4 | None:
    """The family for a model's processor configs; None where the sizes have no form that is known."""
    tiling = tiling_of(configs["image"], configs["processor"])
    return None if tiling is None else Llama4(settings, tiling)
