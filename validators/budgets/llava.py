"""LLaVA 1.5 and what is built like it: one fixed run of tokens for every image.

Sources: llamafactory 0.9.5, mm_plugin.py: LlavaPlugin, MMPluginMixin._get_mm_inputs; transformers 4.57.1 to 5.6.0,
models/llava/processing_llava.py (patch_size, num_additional_image_tokens, vision_feature_select_strategy) and the
image processors of image_shape.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from validators.budgets.config_values import Config, number, optional_number, text
from validators.budgets.family import Block, Crash, Family, Placed, Run
from validators.budgets.image_shape import ImageShape, shape_of
from validators.budgets.resize import Size, frame_size, regularize, whole_frames
from validators.llamafactory.batches.member import BatchFault, Member
from validators.model import MediaKind, Outcome
from validators.settings import TrainerSettings

IMAGE = "<image>"
UNEQUAL_VIDEOS = BatchFault(
    Outcome.CRASH_STEP,
    "videos of different numbers of frames, or sizes: the video processor stacks all videos of a batch in one tensor "
    "(transformers 4.57.1, video_processing_utils.py: torch.stack)",
    "per_device_train_batch_size: 1 without packing, or a video_maxlen that all videos reach",
)


@dataclass(frozen=True, slots=True)
class VisionTower:
    """The processor's own settings; patch_size in pixels, None where it is not set and counting fails."""

    patch_size: int | None = None
    additional: int = 0
    """Tokens beside the patches, such as CLS."""
    drops_first: bool = False
    """vision_feature_select_strategy "default": the CLS token is left out."""


def tower_of(config: Config) -> VisionTower:
    """Read the top level of processor_config.json."""
    return VisionTower(
        patch_size=optional_number(config, "patch_size"),
        additional=number(config, "num_additional_image_tokens", 0, least=0),
        drops_first=text(config, "vision_feature_select_strategy", "") == "default",
    )


def regularized(settings: TrainerSettings, placed: Sequence[Placed], own_code: bool = False) -> list[Size]:
    """Sizes of a row's images, by slot, as the trainer hands them to the image processor; raises Crash.

    `own_code`: the image processor is the model's own and refuses unknown options with every transformers.
    """
    sizes = image_sizes(settings, placed)
    passes_over = settings.trainer.has("processors-pass-over-unknown-options") and not own_code
    if sizes and settings.image_do_pan_and_scan and not passes_over:
        # The plugin hands Gemma 3's settings to whatever image processor there is
        raise Crash("ImagesKwargs.__init__() got an unexpected keyword argument 'do_pan_and_scan'")
    return sizes


def image_sizes(settings: TrainerSettings, placed: Sequence[Placed]) -> list[Size]:
    """Sizes of a row's images after the trainer's resize, by slot; raises Crash for what Pillow cannot resize to."""
    images = sorted((item for item in placed if item.kind is MediaKind.IMAGE), key=lambda item: item.slot)
    return [
        regularize(Size(item.facts.width, item.facts.height), settings.image_max_pixels, settings.image_min_pixels)
        for item in images
    ]


def common_shape(sizes: Sequence[Size], shape: ImageShape) -> Size:
    """The one size of all pixel values; raises Crash where they differ and cannot be stacked."""
    outputs = {shape.output(size) for size in sizes}
    if len(outputs) > 1:
        raise Crash("Unable to create tensor: the row's images leave the image processor in different sizes")
    return outputs.pop()


def stacked_videos(settings: TrainerSettings, placed: Sequence[Placed], shape: ImageShape) -> tuple[int, Size] | None:
    """Frames of each of a row's videos, which must be as many for all, and their one size as the video processor gives
    them; None without videos. Raises Crash where they do not stack.

    Sources: transformers 4.57.1, video_processing_utils.py: BaseVideoProcessor.preprocess, _preprocess. transformers 5
    refuses the call before (a quirk): mm_plugin.py: MMPluginMixin._get_mm_inputs passes images=None.
    """
    videos = sorted((item for item in placed if item.kind is MediaKind.VIDEO), key=lambda item: item.slot)
    if not videos:
        return None
    if not settings.trainer.has("processors-pass-over-unknown-options"):
        raise Crash("VideosKwargs.__init__() got an unexpected keyword argument 'images'")
    frames = {whole_frames(item, settings) for item in videos}
    pixels = common_shape([frame_size(item, settings) for item in videos], shape)
    if len(frames) > 1:
        raise Crash("stack expects each tensor to be equal size (the row's videos have different numbers of frames)")
    return frames.pop(), pixels


def video_shapes(
    settings: TrainerSettings, placed: Sequence[Placed], shape: ImageShape
) -> tuple[tuple[float, ...], ...]:
    """Frames, width and height of the tensor of a row's videos, once for all of them; raises Crash."""
    videos = stacked_videos(settings, placed, shape)
    return () if videos is None else ((videos[0], videos[1].width, videos[1].height),)


def unequal_videos(members: Sequence[Member]) -> BatchFault | None:
    """Videos of one shape stack, others do not."""
    return UNEQUAL_VIDEOS if len({shape for member in members for shape in member.shapes}) > 1 else None


def image_tokens(pixels: Size, tower: VisionTower) -> int:
    """Image tokens for pixel values of that size; raises Crash without a patch size."""
    if tower.patch_size is None:
        raise Crash("unsupported operand type(s) for //: 'int' and 'NoneType' (the processor has no patch_size)")
    patches = (pixels.height // tower.patch_size) * (pixels.width // tower.patch_size)
    return max(patches + tower.additional - tower.drops_first, 0)


@dataclass(frozen=True, slots=True)
class Llava(Family):
    """The family under one run's settings and one model's processor."""

    settings: TrainerSettings
    shape: ImageShape
    tower: VisionTower

    @property
    def features(self) -> tuple[str, ...]:
        """The image token."""
        return (IMAGE,)

    @property
    def rewrites(self) -> Mapping[str, str]:
        """The plugin's own mark for an image token, also where a person wrote it."""
        return {"{{image}}": IMAGE}

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """A run of image tokens for each image, equally long for all; raises Crash."""
        sizes = regularized(self.settings, placed)
        if not sizes:
            return []
        block = Block((Run(IMAGE, image_tokens(common_shape(sizes, self.shape), self.tower)),))
        return [block] * len(placed)


def make(settings: TrainerSettings, configs: Mapping[str, Config]) -> Llava | None:
    """The family for a model's processor configs; None where the model's are not known, as the classes have no
    default for what counts."""
    if not configs["processor"] or not configs["image"]:
        return None
    return Llava(settings, shape_of(configs["image"]), tower_of(configs["processor"]))
