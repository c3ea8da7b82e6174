"""Video-LLaVA: images as in LLaVA; videos stop the trainer.

Sources: llamafactory 0.9.5, mm_plugin.py: VideoLlavaPlugin, MMPluginMixin._get_mm_inputs; transformers 5.6.0,
models/video_llava/processing_video_llava.py (defaults) and image_processing_video_llava.py, which drops settings that
it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from validators.budgets.config_values import Config
from validators.budgets.family import Block, Crash, Family, Placed, Run
from validators.budgets.image_shape import ImageShape, shape_of
from validators.budgets.llava import (
    IMAGE,
    UNEQUAL_VIDEOS,
    VisionTower,
    common_shape,
    image_sizes,
    image_tokens,
    tower_of,
)
from validators.budgets.resize import Size, decoded_frames
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
        """With the frames of each video."""
        limits = self.settings
        frames = (
            (decoded_frames(item.facts, limits.video_fps, limits.video_maxlen),)
            for item in placed
            if item.kind is MediaKind.VIDEO
        )
        return replace(Family.member(self, placed), shapes=tuple(frames))

    def batch_fault(self, members: Sequence[Member]) -> BatchFault | None:
        """Videos of one length stack, others do not."""
        return UNEQUAL_VIDEOS if len({shape for member in members for shape in member.shapes}) > 1 else None

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """A run of image tokens for each image, equally long for all; raises Crash."""
        sizes = [as_seen(size) for size in image_sizes(self.settings, placed)]
        pixels = common_shape(sizes, self.shape) if sizes else None
        if any(item.kind is MediaKind.VIDEO for item in placed):
            # transformers 5 gave every video processor a `videos` parameter, at which the plugin passes images=None
            raise Crash("VideosKwargs.__init__() got an unexpected keyword argument 'images'")
        if pixels is None:
            return []
        return [Block((Run(IMAGE, image_tokens(pixels, self.tower)),))] * len(placed)


def make(settings: TrainerSettings, configs: Mapping[str, Config]) -> VideoLlava:
    """The family for a model's processor configs."""
    image = {"image_processor_type": "VideoLlavaImageProcessor", **configs["image"]}
    return VideoLlava(settings, shape_of(image), tower_of({**PROCESSOR, **configs["processor"]}))
