"""GLM-4.1V, GLM-4.5V, GLM-4.6V and GLM-OCR: images as in Qwen2-VL between their own tokens; videos stop the trainer.

Sources: llamafactory 0.9.5, mm_plugin.py: GLM4VPlugin (_get_mm_inputs, process_messages); transformers 4.57.1 to 5.6.0,
models/glm4v/image_processing_glm4v.py (smart_resize; glm46v's is the same), video_processing_utils.py (preprocess) and
video_utils.py (VideoMetadata).

GLM4VPlugin calls the video processor with images=None, which transformers 5 refuses as an unknown argument, and with
metadata under "total_frames", which every release with a VideoMetadata refuses (its name is total_num_frames): every
video is a TypeError.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from validators.budgets.family import Block, Crash, Family, Placed, Run, Why
from validators.budgets.qwen2_vl import MAX_RATIO, PatchGrid, grid_of, image_size, is_known
from validators.budgets.resize import Size
from validators.model import MediaKind
from validators.probes.facts import MediaFacts
from validators.settings import TrainerSettings

IMAGE_TOKEN, VIDEO_TOKEN = "<|image|>", "<|video|>"
START, END = "<|begin_of_image|>", "<|end_of_image|>"
IMAGE_GRID = PatchGrid(min_pixels=112 * 112, max_pixels=28 * 28 * 15000)
IMAGE_PROCESSORS = tuple(
    name + backend for name in ("Glm4vImageProcessor", "Glm46VImageProcessor") for backend in ("", "Fast", "Pil")
)


def smart_resize(size: Size, grid: PatchGrid) -> Size:
    """Sides that are multiples of patch * merge; the limits are for as many copies as a patch is deep in time."""
    width, height, factor, frames = size.width, size.height, grid.factor, grid.temporal
    if height < factor or width < factor:
        scale = max(factor / height, factor / width)
        height, width = int(height * scale), int(width * scale)
    if max(width, height) / min(width, height) > MAX_RATIO:
        raise Crash(f"{width}x{height} has a ratio of sides over {MAX_RATIO}", Why.SIZE)
    new_height, new_width = round(height / factor) * factor, round(width / factor) * factor
    if frames * new_height * new_width > grid.max_pixels:
        beta = math.sqrt((frames * height * width) / grid.max_pixels)
        new_height = max(factor, math.floor(height / beta / factor) * factor)
        new_width = max(factor, math.floor(width / beta / factor) * factor)
    elif frames * new_height * new_width < grid.min_pixels:
        beta = math.sqrt(grid.min_pixels / (frames * height * width))
        new_height = math.ceil(height * beta / factor) * factor
        new_width = math.ceil(width * beta / factor) * factor
    return Size(new_width, new_height)


@dataclass(frozen=True, slots=True)
class Glm4V(Family):
    """The family, ready to count with one model's image processor and one run's settings."""

    settings: TrainerSettings
    grid: PatchGrid

    @property
    def features(self) -> tuple[str, ...]:
        """The image token, of video frames too."""
        return (IMAGE_TOKEN,)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Start, image and end."""
        return (START, IMAGE_TOKEN, END)

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """Start, image tokens, end for each image; Crash for anything else."""
        blocks = []
        for item in placed:
            match item.kind:
                case MediaKind.IMAGE:
                    blocks.append(Block((START, Run(IMAGE_TOKEN, self.image(item.facts)), END)))
                case MediaKind.VIDEO:
                    raise Crash(
                        "a video with GLM4VPlugin: TypeError, "
                        "the video processor gets an unexpected keyword argument 'images' or 'total_frames'"
                    )
                case _:
                    raise Crash("This model does not support audio input")
        return blocks

    def image(self, facts: MediaFacts) -> int:
        """Tokens of one image."""
        size = smart_resize(image_size(facts, self.settings), self.grid)
        return (size.height // self.grid.patch) * (size.width // self.grid.patch) // self.grid.merge**2


def make(settings: TrainerSettings, configs: Mapping[str, Mapping[str, object]]) -> Glm4V | None:
    """The family for a model's image processor config; None where it names another class."""
    image = configs["image"]
    if not is_known(image, "image_processor_type", IMAGE_PROCESSORS):
        return None
    return Glm4V(settings, grid_of(image, IMAGE_GRID, pixel_keys=False))
