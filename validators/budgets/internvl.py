"""InternVL 2.5 to 3.5 (the -hf models): a run for each tile of an image, and one for each numbered frame of a video.

Sources: llamafactory 0.9.5, mm_plugin.py: InternVLPlugin; transformers 4.57.1 to 5.6.0,
models/got_ocr2/image_processing_got_ocr2.py (get_optimal_tiled_canvas, crop_image_to_patches, GotOcr2ImageProcessor,
which serves InternVL; of 4.57 its twin in image_processing_got_ocr2_fast.py) and
models/internvl/processing_internvl.py (image_seq_length).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from validators.budgets.config_values import Config, flag, number
from validators.budgets.family import Block, Crash, Family, Placed, Run
from validators.budgets.image_shape import ImageShape, shape_of
from validators.budgets.llava import common_shape, image_sizes
from validators.budgets.resize import Size, frame_size, whole_frames
from validators.llamafactory.batches.member import BatchFault, Member
from validators.model import MediaKind, Outcome
from validators.settings import TrainerSettings

OPEN, CONTEXT, CLOSE = "<img>", "<IMG_CONTEXT>", "</img>"
MOST_TILES = 1000  # a config that asks for more is not believed
IMAGES_FIRST = BatchFault(
    Outcome.ALTERED,
    "a row with a video before a row with images: the pixel values of all images come before those of all videos "
    "(llamafactory 0.9.5, mm_plugin.py: InternVLPlugin._get_mm_inputs), and the model hands them out in the order of "
    "the rows: each learns from the other's pixels",
    "per_device_train_batch_size: 1 without packing, or images and videos in runs of their own",
)
TRAINER_TILES = (1, 12)  # mm_plugin.py, InternVLPlugin._get_mm_inputs: min_patches, max_patches under crop_to_patches


@dataclass(frozen=True, slots=True)
class Tiles:
    """Settings of the image processor."""

    shape: ImageShape = field(default_factory=lambda: ImageShape(height=384, width=384))
    crop: bool = False
    least: int = 1
    most: int = 12


def tiles_of(config: Config) -> Tiles:
    """An image processor's config over the defaults of GotOcr2ImageProcessor."""
    values = {"size": {"height": 384, "width": 384}, "do_resize": True}
    values |= {key: value for key, value in config.items() if value is not None}
    return Tiles(
        shape=shape_of(values),
        crop=flag(config, "crop_to_patches", False),
        least=number(config, "min_patches", 1, most=MOST_TILES),
        most=number(config, "max_patches", 12, most=MOST_TILES),
    )


@cache
def grids_of(least: int, most: int) -> tuple[tuple[int, int], ...]:
    """Columns and rows of every grid of so many tiles, small ones first, then those of few columns."""
    grids = [(columns, rows) for columns in range(1, most + 1) for rows in range(1, most // columns + 1)]
    return tuple(sorted((grid for grid in grids if grid[0] * grid[1] >= least), key=lambda grid: grid[0] * grid[1]))


def best_grid(size: Size, tile: Size, least: int, most: int) -> tuple[int, int]:
    """Columns and rows of the tiles whose ratio of sides is nearest to the image's (get_optimal_tiled_canvas).

    Of equally near grids a larger one wins while it covers less than twice the image's area.
    """
    ratio, area = size.width / size.height, size.width * size.height
    best, nearest = (1, 1), float("inf")
    for columns, rows in grids_of(least, most):
        distance = abs(ratio - columns / rows)
        if distance < nearest:
            best, nearest = (columns, rows), distance
        elif distance == nearest and area > 0.5 * tile.height * tile.width * columns * rows:
            best = (columns, rows)
    return best


@dataclass(frozen=True, slots=True)
class InternVL(Family):
    """The family under one run's settings and one model's processor."""

    settings: TrainerSettings
    tiles: Tiles
    sequence: int = 256
    """Tokens a tile (image_seq_length)."""

    @property
    def features(self) -> tuple[str, ...]:
        """The context token."""
        return (CONTEXT,)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Opening, context and closing token."""
        return (OPEN, CONTEXT, CLOSE)

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """Images as one run each, videos as a line a frame; raises Crash."""
        sizes = image_sizes(self.settings, placed)
        frames = [whole_frames(item, self.settings) if item.kind is MediaKind.VIDEO else 0 for item in placed]
        counts = [self.image_tiles(size) for size in sizes]
        if sizes and (self.settings.crop_to_patches or self.tiles.crop):
            sizes = [self.tile()]
        sizes += [frame_size(item, self.settings) for item in placed if item.kind is MediaKind.VIDEO]
        if sizes:
            common_shape(sizes, self.tiles.shape)  # all pixel values are joined in one tensor
        return [
            self.video(number) if item.kind is MediaKind.VIDEO else self.image(counts[item.slot])
            for item, number in zip(placed, frames, strict=True)
        ]

    @property
    def joins(self) -> bool:
        """See batch_fault."""
        return True

    def batch_fault(self, members: Sequence[Member]) -> BatchFault | None:
        """Pixel values of all images of the batch stand before those of its videos (get_mm_inputs), and the model hands
        them out in the order of the rows."""
        videos = [number for number, member in enumerate(members) if member.videos]
        images = [number for number, member in enumerate(members) if member.images]
        return IMAGES_FIRST if videos and images and videos[0] < images[-1] else None

    def image(self, tiles: int) -> Block:
        """One image of so many tiles."""
        return Block((OPEN, Run(CONTEXT, self.sequence * tiles), CLOSE))

    def video(self, frames: int) -> Block:
        """One video of so many frames; frames are never cropped to tiles."""
        parts: list[str | Run] = []
        for frame in range(1, frames + 1):
            line = f"Frame{frame}: {OPEN}"
            parts += [f"{CLOSE}\n{line}" if frame > 1 else line, Run(CONTEXT, self.sequence)]
        return Block((*parts, CLOSE))

    def image_tiles(self, size: Size) -> int:
        """Tiles of one image: those of its grid and, where there is more than one, a thumbnail."""
        limits = TRAINER_TILES if self.settings.crop_to_patches else (self.tiles.least, self.tiles.most)
        if not (self.settings.crop_to_patches or self.tiles.crop):
            return 1
        columns, rows = best_grid(size, self.tile(), *limits)
        return columns * rows + 1 if columns * rows > 1 else 1

    def tile(self) -> Size:
        """A tile's size; raises Crash where the processor's size has no height and width."""
        shape = self.tiles.shape
        if not shape.height or not shape.width:
            raise Crash("unsupported operand type(s) for *: 'NoneType' and 'int' (size without height and width)")
        return Size(shape.width, shape.height)


def make(settings: TrainerSettings, configs: Mapping[str, Config]) -> InternVL:
    """The family for a model's processor configs."""
    return InternVL(settings, tiles_of(configs["image"]), number(configs["processor"], "image_seq_length", 256))
