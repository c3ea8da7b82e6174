"""Video-LLaVA: images as in LLaVA, videos as that many tokens a frame; with transformers 5 videos stop the trainer.

Sources: llamafactory 0.9.5, mm_plugin.py: VideoLlavaPlugin, MMPluginMixin._get_mm_inputs; transformers 4.57.1,
models/video_llava/processing_video_llava.py (defaults), video_processing_video_llava.py, and
image_processing_video_llava.py, which drops settings that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from validators.budgets.config_values import Config
from validators.budgets.family import Block, Crash, Family, Placed, Run
from validators.budgets.image_shape import CLIP_TYPE, ImageShape, shape_of
from validators.budgets.llava import (
    IMAGE,
    VisionTower,
    common_shape,
    image_sizes,
    image_tokens,
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
PROCESSOR: Config = {
    "patch_size": 14,
    "vision_feature_select_strategy": "default",
    "num_additional_image_tokens": 1,
}


def as_seen(size: Size) -> Size:
    """The size that the image processor reads off an array of rows, columns and 3 channels; raises Crash.

    It guesses the order of the axes (image_utils.py: infer_channel_dimension_format), and takes an image of 1 or 3
    rows for one whose channels come first.
    """
    if size.height == 1:
        raise Crash("mean must have 1 elements if it is an iterable, got 3")
    return Size(3, size.width) if size.height == 3 else size


@dataclass(frozen=True, slots=True)
class VideoLlava(Family):
    """The family under one run's settings and one model's processor."""

    settings: TrainerSettings
    shape: ImageShape
    frames: ImageShape
    """What the video processor makes of each frame."""
    tower: VisionTower

    @property
    def features(self) -> tuple[str, ...]:
        """Image and video token."""
        return (IMAGE, VIDEO)

    @property
    def rewrites(self) -> Mapping[str, str]:
        """The plugin's own marks, also where a person wrote them."""
        return {"{{image}}": IMAGE, "{{video}}": VIDEO}

    @property
    def joins(self) -> bool:
        """See batch_fault."""
        return True

    def member(self, placed: Sequence[Placed]) -> Member:
        """With the tensors of its videos."""
        shapes = video_shapes(self.settings, placed, self.frames)
        return replace(Family.member(self, placed), shapes=shapes)

    def batch_fault(self, members: Sequence[Member]) -> BatchFault | None:
        """Videos that do not stack."""
        return unequal_videos(members)

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """A run of tokens for each, equally long for all of a kind; raises Crash.

        In a row with a video, the frames' size decides for images too.
        """
        sizes = [as_seen(size) for size in image_sizes(self.settings, placed)]
        pixels = common_shape(sizes, self.shape) if sizes else None
        videos = stacked_videos(self.settings, placed, self.frames)
        frames = 1
        if videos is not None:
            frames, pixels = videos
        if pixels is None:
            return []
        image = Block((Run(IMAGE, image_tokens(pixels, self.tower)),))
        video = Block((Run(VIDEO, frames * image_tokens(pixels, replace(self.tower, drops_first=False))),))
        return [video if item.kind is MediaKind.VIDEO else image for item in placed]


def make(settings: TrainerSettings, configs: Mapping[str, Config]) -> VideoLlava:
    """The family for a model's processor configs."""
    image = {"image_processor_type": "VideoLlavaImageProcessor", **configs["image"]}
    tower = tower_of({**PROCESSOR, **configs["processor"]})
    return VideoLlava(settings, shape_of(image), shape_of({**configs["video"], **CLIP_TYPE}), tower)
