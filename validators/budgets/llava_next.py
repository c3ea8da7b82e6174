"""LLaVA-NeXT: an overview and the tiles of the best fitting canvas, padding left out, a newline for each row.

LLaVA-NeXT-Video expands images alike, and videos to a token for four patches of each frame; with transformers 5 its
videos stop the trainer.

Sources: llamafactory 0.9.5, mm_plugin.py: LlavaNextPlugin, LlavaNextVideoPlugin, MMPluginMixin._get_mm_inputs;
transformers 4.57.1 to 5.6.0, models/llava_next/processing_llava_next.py (_get_number_of_features,
_get_unpadded_features), models/llava_next/image_processing_llava_next.py (_get_image_patches, _preprocess),
image_processing_utils.py (select_best_resolution).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from validators.budgets.config_values import Config, flag, sides
from validators.budgets.family import Block, Crash, Family, Placed, Run
from validators.budgets.image_shape import CLIP, CLIP_TYPE, ImageShape, shape_of
from validators.budgets.llava import (
    IMAGE,
    VisionTower,
    regularized,
    stacked_videos,
    tower_of,
    unequal_videos,
    video_shapes,
)
from validators.budgets.resize import Size
from validators.llamafactory.batches.member import BatchFault, Member
from validators.model import MediaKind
from validators.settings import TrainerSettings

VIDEO = "<video>"
MOST_CANVASES = 1000  # LLaVA-OneVision has 36
PINPOINTS = (Size(672, 336), Size(336, 672), Size(672, 672), Size(336, 1008), Size(1008, 336))


@dataclass(frozen=True, slots=True)
class Tiling:
    """Settings of the image processor; sizes in pixels."""

    canvases: tuple[Size, ...] = PINPOINTS
    overview: Size = field(default=Size(224, 224))
    """The size of the overview before the shape applies to it as to every tile."""
    tile: int = 224
    shape: ImageShape = field(default_factory=ImageShape)
    padded: bool = True
    """Whether images of fewer tiles are filled up, so that a row's images stack."""


def tiling_of(config: Config) -> Tiling:
    """An image processor's config over the defaults of LlavaNextImageProcessor."""
    values = {**CLIP, **{key: value for key, value in config.items() if value is not None}}
    size, crop = sides(values["size"], False), sides(values["crop_size"], True)
    height, width = size.get("height", 0), size.get("width", 0)
    edge = size.get("shortest_edge", 0)
    pinpoints = values.get("image_grid_pinpoints")
    return Tiling(
        canvases=canvases_of(pinpoints) if isinstance(pinpoints, list) else PINPOINTS,
        overview=Size(width, height) if height and width else Size(edge, edge),
        tile=crop.get("height") or height or edge,
        shape=shape_of(values | {"image_processor_type": ""}),
        padded=flag(values, "do_pad", True),
    )


def canvases_of(pinpoints: Sequence[object]) -> tuple[Size, ...]:
    """Height-and-width pairs as sizes, in their order; others are left out."""
    pairs = [sides(item, True) for item in pinpoints[:MOST_CANVASES] if isinstance(item, list)]
    return tuple(Size(pair["width"], pair["height"]) for pair in pairs if "width" in pair and "height" in pair)


def best_canvas(size: Size, canvases: Sequence[Size]) -> Size:
    """The canvas that keeps the most pixels, then the one that wastes the fewest (select_best_resolution)."""
    best, most, least = None, 0, float("inf")
    for canvas in canvases:
        scale = min(canvas.width / size.width, canvas.height / size.height)
        kept = min(int(size.width * scale) * int(size.height * scale), size.width * size.height)
        wasted = canvas.width * canvas.height - kept
        if kept > most or (kept == most and wasted < least):
            best, most, least = canvas, kept, wasted
    if best is None:
        raise Crash("cannot unpack non-iterable NoneType object (the processor has no image_grid_pinpoints)")
    return best


def pieces(canvas: Size, tiling: Tiling) -> tuple[int, set[Size]]:
    """How many pieces an image is cut into, and their sizes: the overview and tiles, smaller at far edges."""
    edge = tiling.tile
    if edge <= 0:
        raise Crash("range() arg 3 must not be zero (the image processor's size has no edge)")
    columns, rows = -(-canvas.width // edge), -(-canvas.height // edge)
    widths = {min(edge, canvas.width), canvas.width - (columns - 1) * edge}
    heights = {min(edge, canvas.height), canvas.height - (rows - 1) * edge}
    return 1 + columns * rows, {tiling.overview} | {Size(width, height) for width in widths for height in heights}


def unpadded(size: Size, across: int, down: int) -> int:
    """Features of a canvas of `across` x `down` patches without its padding, and a newline feature a row."""
    if size.width / size.height > across / down:
        inner = int(round(size.height * (across / size.width), 7))
        down -= (down - inner) // 2 * 2
    else:
        inner = int(round(size.width * (down / size.height), 7))
        across -= (across - inner) // 2 * 2
    return across * down + down


@dataclass(frozen=True, slots=True)
class LlavaNext(Family):
    """The family under one run's settings and one model's processor."""

    settings: TrainerSettings
    tiling: Tiling
    tower: VisionTower
    frames: ImageShape | None = None
    """What the video processor makes of each frame; None for LLaVA-NeXT, whose plugin rewrites no video marks."""

    @property
    def features(self) -> tuple[str, ...]:
        """The image token, and the video token where there is one."""
        return (IMAGE,) if self.frames is None else (IMAGE, VIDEO)

    @property
    def rewrites(self) -> Mapping[str, str]:
        """The plugin's own marks, also where a person wrote them."""
        return {"{{image}}": IMAGE} if self.frames is None else {"{{image}}": IMAGE, "{{video}}": VIDEO}

    @property
    def patch(self) -> int:
        """The side of a patch in pixels; raises Crash without one."""
        if self.tower.patch_size is None:
            raise Crash("unsupported operand type(s) for //: 'int' and 'NoneType' (the processor has no patch_size)")
        return self.tower.patch_size

    @property
    def joins(self) -> bool:
        """See batch_fault."""
        return self.frames is not None

    def member(self, placed: Sequence[Placed]) -> Member:
        """With the tensors of its videos."""
        shapes = video_shapes(self.settings, placed, self.frames) if self.frames is not None else ()
        return replace(Family.member(self, placed), shapes=shapes)

    def batch_fault(self, members: Sequence[Member]) -> BatchFault | None:
        """Videos that do not stack."""
        return unequal_videos(members)

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """A run of image tokens for each image, by its size, and one for each video; raises Crash."""
        counts = self.image_counts(regularized(self.settings, placed))
        videos = stacked_videos(self.settings, placed, self.frames) if self.frames is not None else None
        video = Block((Run(VIDEO, 0 if videos is None else self.video_count(*videos)),))
        return [video if item.kind is MediaKind.VIDEO else Block((Run(IMAGE, counts[item.slot]),)) for item in placed]

    def image_counts(self, sizes: Sequence[Size]) -> list[int]:
        """Image tokens of each image of a row."""
        if not sizes:
            return []
        canvases = [best_canvas(size, self.tiling.canvases) for size in sizes]
        pixels = self.stacked([pieces(canvas, self.tiling) for canvas in canvases])
        return [self.count(size, canvas, pixels) for size, canvas in zip(sizes, canvases, strict=True)]

    def video_count(self, frames: int, pixels: Size) -> int:
        """Video tokens of each video of a row (mm_plugin.py: LlavaNextVideoPlugin.process_messages)."""
        patch = self.patch
        return (pixels.height // patch) * (pixels.width // patch) // 4 * frames

    def stacked(self, images: Sequence[tuple[int, set[Size]]]) -> Size:
        """The one size of all overviews and tiles; raises Crash where they do not stack."""
        outputs = {self.tiling.shape.output(piece) for _, sizes in images for piece in sizes}
        if len(outputs) > 1:
            raise Crash("stack expects each tensor to be equal size (the tiles differ from the overview)")
        if not self.tiling.padded and len({count for count, _ in images}) > 1:
            raise Crash("Unable to create tensor: the row's images have different numbers of tiles and do_pad is off")
        return outputs.pop()

    def count(self, size: Size, canvas: Size, pixels: Size) -> int:
        """Image tokens of one image of that size, for tiles of `pixels`."""
        patch = self.patch
        if min(pixels.width, pixels.height) == 0:
            raise Crash("the image processor gives no pixels")
        across, down = pixels.width // patch, pixels.height // patch
        columns, rows = canvas.width // pixels.width, canvas.height // pixels.height
        if across * columns * down * rows == 0:
            raise Crash("division by zero (a tile is smaller than a patch, or a canvas than a tile)")
        total = across * down + self.tower.additional + unpadded(size, across * columns, down * rows)
        return max(total - self.tower.drops_first, 0)


def make(settings: TrainerSettings, configs: Mapping[str, Config]) -> LlavaNext | None:
    """LLaVA-NeXT for a model's processor configs; None where the model's are not known."""
    if not configs["processor"] or not configs["image"]:
        return None
    return LlavaNext(settings, tiling_of(configs["image"]), tower_of(configs["processor"]))


def make_video(settings: TrainerSettings, configs: Mapping[str, Config]) -> LlavaNext | None:
    """LLaVA-NeXT-Video for a model's processor configs; None where the model's are not known."""
    if not configs["processor"] or not configs["image"]:
        return None
    frames = shape_of({**configs["video"], **CLIP_TYPE})
    return LlavaNext(settings, tiling_of(configs["image"]), tower_of(configs["processor"]), frames)
