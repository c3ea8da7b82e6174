"""Qwen2-VL and Qwen2.5-VL: one token for each merged patch, after two resizes.

Sources: llamafactory 0.9.5, mm_plugin.py: Qwen2VLPlugin (_preprocess_image, _regularize_videos,
_get_qwen_video_grid_metadata, process_messages); transformers 5.6.0, models/qwen2_vl/image_processing_qwen2_vl.py and
video_processing_qwen2_vl.py: smart_resize and the default sizes (Qwen2.5-VL uses the same classes; the torchvision and
the Pillow image processor give the same sizes).

Videos are counted in one of two ways. Where every video of the row has a duration and a rate in its header and the
row has no sound, the trainer counts sampled indices without decoding; else it decodes all videos of the row. When a
batch is collated it always decodes, so that a header which promises more frames than there are stops the step: for
a stream with a duration but no frame count (fragmented MP4, MPEG-TS, WMV) video_maxlen indices are counted.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from validators.budgets.config_values import within
from validators.budgets.family import Block, Crash, Family, Literal, Media, Placed, Run, Unit, Why
from validators.budgets.resize import Size, decoded_frames, regularize, sampled_frames
from validators.budgets.templates import find_template
from validators.model import MediaKind
from validators.numbers import MOST
from validators.probes.facts import Health, MediaFacts
from validators.settings import TrainerSettings

MIN_SIDE = 28
MAX_RATIO, RATIO_AFTER = 200, 180
IMAGE_PROCESSORS = ("Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast", "Qwen2VLImageProcessorPil")
VIDEO_PROCESSORS = ("Qwen2VLVideoProcessor", *IMAGE_PROCESSORS)


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """A processor's patches: sides in pixels, limits in pixels of area."""

    patch: int = 14
    merge: int = 2
    temporal: int = 2
    min_pixels: int = 56 * 56
    max_pixels: int = 28 * 28 * 1280

    @property
    def factor(self) -> int:
        """Both sides become multiples of this."""
        return self.patch * self.merge


IMAGE_GRID = PatchGrid()
VIDEO_GRID = PatchGrid(min_pixels=128 * 28 * 28, max_pixels=28 * 28 * 768)


@dataclass(frozen=True, slots=True)
class Grid:
    """Patches of an image or video: in time, height and width (`grid_thw`)."""

    times: int
    rows: int
    columns: int

    def tokens(self, merge: int) -> int:
        """Tokens in all, where merge * merge patches become one."""
        return self.times * self.rows * self.columns // merge**2

    def frame_tokens(self, merge: int) -> int:
        """Tokens of one step in time."""
        return self.rows * self.columns // merge**2


@dataclass(frozen=True, slots=True)
class VisionTokens:
    """The special tokens that a template's plugin writes for pictures."""

    image: str = "<|image_pad|>"
    video: str = "<|video_pad|>"
    start: str = "<|vision_start|>"
    end: str = "<|vision_end|>"

    def all(self) -> tuple[str, ...]:
        """Each of them."""
        return (self.image, self.video, self.start, self.end)

    def block(self, token: str, count: int) -> Block:
        """A run of feature tokens between start and end."""
        return Block((self.start, Run(token, count), self.end))


def vision_tokens(settings: TrainerSettings) -> VisionTokens:
    """The tokens of the run's template (templates.py of the trainer; dots_ocr has its own)."""
    template = find_template(settings.template or "qwen2_vl")
    plugin: Mapping[str, object] = {} if template is None else template.spec["plugin"]
    default = VisionTokens()

    def pick(key: str, fallback: str) -> str:
        value = plugin.get(key)
        return value if isinstance(value, str) else fallback

    return VisionTokens(
        pick("image_token", default.image),
        pick("video_token", default.video),
        pick("vision_bos_token", default.start),
        pick("vision_eos_token", default.end),
    )


def is_known(config: Mapping[str, object], key: str, names: Collection[str]) -> bool:
    """Whether a processor's config names none, or one of these classes, under `key`."""
    name = config.get(key)
    return name is None or (isinstance(name, str) and name in names)


def grid_of(config: Mapping[str, object], default: PatchGrid, pixel_keys: bool = True) -> PatchGrid:
    """A processor's config over its class defaults.

    With pixel_keys, min_pixels and max_pixels override `size`, as in the Qwen2-VL classes; others know only `size`.
    """
    size = config.get("size")
    sizes = size if isinstance(size, Mapping) else {}

    def pick(value: object, fallback: int) -> int:
        sound = within(value, 1, MOST)
        return fallback if sound is None else sound

    least = pick(sizes.get("shortest_edge"), default.min_pixels)
    most = pick(sizes.get("longest_edge"), default.max_pixels)
    return PatchGrid(
        patch=pick(config.get("patch_size"), default.patch),
        merge=pick(config.get("merge_size"), default.merge),
        temporal=pick(config.get("temporal_patch_size"), default.temporal),
        min_pixels=pick(config.get("min_pixels"), least) if pixel_keys else least,
        max_pixels=pick(config.get("max_pixels"), most) if pixel_keys else most,
    )


def smart_resize(size: Size, grid: PatchGrid) -> Size:
    """Sides that are multiples of patch * merge, with the area inside the processor's limits.

    Raises Crash for a ratio of sides over 200.
    """
    width, height, factor = size.width, size.height, grid.factor
    if max(width, height) / min(width, height) > MAX_RATIO:
        raise Crash(f"{width}x{height} has a ratio of sides over {MAX_RATIO}", Why.SIZE)
    new_height, new_width = round(height / factor) * factor, round(width / factor) * factor
    if new_height * new_width > grid.max_pixels:
        beta = math.sqrt((height * width) / grid.max_pixels)
        new_height = max(factor, math.floor(height / beta / factor) * factor)
        new_width = max(factor, math.floor(width / beta / factor) * factor)
    elif new_height * new_width < grid.min_pixels:
        beta = math.sqrt(grid.min_pixels / (height * width))
        new_height = math.ceil(height * beta / factor) * factor
        new_width = math.ceil(width * beta / factor) * factor
    return Size(new_width, new_height)


def qwen_regularize(size: Size, max_pixels: int, min_pixels: int) -> Size:
    """The common resize, then the family's own floors for small and slim images; Crash for a side of 0 pixels."""
    common = regularize(size, max_pixels, min_pixels)
    width, height = common.width, common.height
    if min(width, height) < MIN_SIDE:
        width, height = max(width, MIN_SIDE), max(height, MIN_SIDE)
    if width / height > MAX_RATIO:
        width = height * RATIO_AFTER
    if height / width > MAX_RATIO:
        height = width * RATIO_AFTER
    return Size(width, height)


def image_size(facts: MediaFacts, settings: TrainerSettings) -> Size:
    """An image's size as the processor gets it."""
    return qwen_regularize(Size(facts.width, facts.height), settings.image_max_pixels, settings.image_min_pixels)


def frame_size(facts: MediaFacts, settings: TrainerSettings) -> Size:
    """The size of a video's frames as the processor gets them."""
    return qwen_regularize(Size(facts.width, facts.height), settings.video_max_pixels, settings.video_min_pixels)


def image_grid(facts: MediaFacts, settings: TrainerSettings, grid: PatchGrid) -> Grid:
    """The patches of one image."""
    size = smart_resize(image_size(facts, settings), grid)
    return Grid(1, size.height // grid.patch, size.width // grid.patch)


def has_stream_metadata(facts: MediaFacts) -> bool:
    """Whether frames are counted without decoding (mm_plugin.py: _get_qwen_video_stream_metadata)."""
    return not facts.listed and facts.duration is not None and facts.fps > 0


def by_header(placed: Sequence[Placed]) -> bool:
    """Whether a row's videos are counted by their headers: all of them, or none."""
    return all(has_stream_metadata(item.facts) for item in placed if item.kind is MediaKind.VIDEO)


def refuse_broken(placed: Sequence[Placed]) -> None:
    """Crash for a video that cannot be decoded, in a row whose videos are decoded while it is prepared."""
    if any(item.facts.health is Health.BROKEN for item in placed):
        raise Crash("a video that cannot be decoded", Why.MIX)


def broken(videos: Sequence[MediaFacts]) -> str:
    """Why decoding stops at one of a row's videos, when the collator comes to it; "" when all decode."""
    return next((f"decoding fails: {facts.detail}" for facts in videos if facts.health is Health.BROKEN), "")


def decodable_frames(facts: MediaFacts, settings: TrainerSettings) -> int:
    """Frames that decoding hands over; Crash where the header lacks what the trainer reckons with.

    Sources: mm_plugin.py: _get_video_sample_indices (duration * time_base) and Qwen2VLPlugin._regularize_videos
    (float(average_rate), and a division by the duration).
    """
    if facts.listed:
        sizes = {frame_size(frame, settings) for frame in facts.listed}
        if len(sizes) > 1:
            raise Crash("all input arrays must have the same shape: frames of different sizes in one list", Why.SIZE)
        return decoded_frames(facts, settings.video_fps, settings.video_maxlen)
    if facts.frames > 0 and facts.duration is None:
        raise Crash("a video with a frame count but no duration: TypeError in _get_video_sample_indices")
    if facts.fps <= 0:
        raise Crash("a video without an average rate: TypeError in _regularize_videos")
    if facts.duration is not None and facts.duration == 0:
        raise Crash("a video of duration 0: ZeroDivisionError in _regularize_videos")
    return decoded_frames(facts, settings.video_fps, settings.video_maxlen)


def even_frames(facts: MediaFacts, settings: TrainerSettings, header: bool) -> int:
    """Frames of one video, made even by repeating the last."""
    if header:
        count = sampled_frames(facts, settings.video_fps, settings.video_maxlen)
    else:
        count = decodable_frames(facts, settings)
        if count == 0:
            raise Crash("a video of which no frame is sampled: IndexError in the video processor")
    return count + count % 2


def video_grid(facts: MediaFacts, settings: TrainerSettings, grid: PatchGrid, header: bool) -> Grid:
    """The patches of one video."""
    frames = even_frames(facts, settings, header)
    size = smart_resize(frame_size(facts, settings), grid)
    return Grid(math.ceil(frames / grid.temporal), size.height // grid.patch, size.width // grid.patch)


def out_of_place(
    literals: Sequence[Literal], media: Media, settings: TrainerSettings, special: VisionTokens
) -> list[Literal]:
    """Of the literals in a row's text, those of images and videos that the model takes for media.

    All, or by a quirk only those of a modality that the row has, and those behind a start token. A row with neither
    images nor videos gets an image in the collator (llamafactory 0.9.5, collator.py: fake_input_ids).
    """
    if not settings.trainer.has("qwen-counts-only-features-there-are"):
        return [literal for literal in literals if literal.token in (special.image, special.video)]
    kinds = {item.kind for item, _ in media}
    counted = {special.image} if MediaKind.IMAGE in kinds or MediaKind.VIDEO not in kinds else set[str]()
    counted |= {special.video} if MediaKind.VIDEO in kinds else set()
    starts = {literal.place for literal in literals if literal.token == special.start}
    return [
        literal
        for literal in literals
        if literal.token in counted or (literal.token in (special.image, special.video) and literal.place - 1 in starts)
    ]


def surplus_fault(surplus: Sequence[Literal]) -> str:
    """What the model says to media tokens without features; "" without such tokens."""
    return f"{len(surplus)} × {surplus[0].token} in the text itself, where no feature belongs" if surplus else ""


def mismatch(tokens: int, features: int) -> str:
    """What the model says when it gets another number of video features than tokens, "" when they agree."""
    if tokens == features:
        return ""
    return f"Video features and video tokens do not match, tokens: {tokens}, features: {features}"


@dataclass(frozen=True, slots=True)
class QwenVision(Family):
    """What Qwen's models for images and videos share, ready to count with one model's processors and one run's
    settings."""

    settings: TrainerSettings
    image_grid: PatchGrid
    video_grid: PatchGrid
    special: VisionTokens

    @property
    def features(self) -> tuple[str, ...]:
        """Image and video pads."""
        return (self.special.image, self.special.video)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Start, pads and end."""
        return self.special.all()

    @property
    def watched(self) -> tuple[str, ...]:
        """The pads, and the token before them."""
        return (*self.features, self.special.start)

    def refuses(self, literals: Sequence[Literal], units: Sequence[Unit], end: int, media: Media) -> str:
        """Why the step stops at pads in the row's own text."""
        return surplus_fault(out_of_place(literals, media, self.settings, self.special))

    @property
    def trusts_headers(self) -> bool:
        """mm_plugin.py: Qwen2VLPlugin._get_mm_token_metadata."""
        return True


@dataclass(frozen=True, slots=True)
class Qwen2VL(QwenVision):
    """Qwen2-VL and Qwen2.5-VL."""

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """Start, pads, end for each; a video's patches are merged by the image processor's merge size."""
        header = by_header(placed)
        if not header:
            refuse_broken(placed)
        return [self.block(item, header) for item in placed]

    def step_fault(self, placed: Sequence[Placed]) -> str:
        """Not as many frames decode as were counted."""
        videos = [item.facts for item in placed if item.kind is MediaKind.VIDEO]
        if fault := broken(videos):
            return fault
        ways = ((by_header(placed), self.image_grid.merge), (False, self.video_grid.merge))
        try:
            counted, decoded = (
                sum(video_grid(facts, self.settings, self.video_grid, header).tokens(merge) for facts in videos)
                for header, merge in ways
            )
        except Crash as fault_at_step:
            return str(fault_at_step)
        return mismatch(counted, decoded)

    def block(self, item: Placed, header: bool) -> Block:
        """One placeholder."""
        match item.kind:
            case MediaKind.IMAGE:
                grid = image_grid(item.facts, self.settings, self.image_grid)
                return self.special.block(self.special.image, grid.tokens(self.image_grid.merge))
            case MediaKind.VIDEO:
                grid = video_grid(item.facts, self.settings, self.video_grid, header)
                return self.special.block(self.special.video, grid.tokens(self.image_grid.merge))
            case _:
                raise Crash("This model does not support audio input")


def make(settings: TrainerSettings, configs: Mapping[str, Mapping[str, object]]) -> Qwen2VL | None:
    """The family for a model's processor configs; None where they name other classes (keye_vl's remote code)."""
    image, video = configs["image"], configs["video"]
    if not is_known(image, "image_processor_type", IMAGE_PROCESSORS):
        return None
    if not is_known(video, "video_processor_type", VIDEO_PROCESSORS):
        return None
    return Qwen2VL(settings, grid_of(image, IMAGE_GRID), grid_of(video, VIDEO_GRID), vision_tokens(settings))
