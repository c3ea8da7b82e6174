"""MiniCPM-V 2.6 / 4.0 / 4.5 and MiniCPM-o 2.6 / 4.5: placeholders of fixed length, sliced by a grid.

Sources: llamafactory 0.9.5, mm_plugin.py: MiniCPMVPlugin (what is called with what); the remote code that the models
ship, image_processing_minicpmv.py (get_sliced_grid, get_slice_image_placeholder: the same in 2.6, 4.5, o-2.6, o-4.5)
and processing_minicpmo.py (audio_feature_extract: get_audio_placeholder). Each placeholder begins and ends with a
special token, so that its length does not depend on the text around it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from validators.budgets.family import Block, Crash, Cut, Family, Literal, Media, Placed, Run, Unit, Why
from validators.budgets.high_fps import sample_of
from validators.budgets.resize import Size, decoded_frames, regularize
from validators.budgets.sound import WHISPER_RATE, rate_fault, resampled
from validators.budgets.templates import find_template
from validators.budgets.text import model_config
from validators.llamafactory.batches.member import BatchFault, Member
from validators.llamafactory.environment.families import BY_NAME, families_of
from validators.model import MediaKind, Outcome
from validators.probes.facts import MediaFacts
from validators.settings import COLLATION, TrainerSettings

UNKNOWN = "<unk>"
IMAGE_PAIRS = (("<image>", "</image>"), ("<slice>", "</slice>"))
SOUND_PAIRS = (("<|audio_start|>", "<|audio_end|>"),)
SPEECH_PAIR = ("<|spk_bos|>", "<|spk_eos|>")
IMAGE_MARK, SOUND_MARK = "(<image>./</image>)", "(<audio>./</audio>)"
CHANNELS = (1, 3)  # transformers, image_utils.py: infer_channel_dimension_format
VIDEO_SLICES = 2  # mm_plugin.py, MiniCPMVPlugin.process_messages: max_slice_nums for videos, without image ids
HOP_LENGTH = 160  # samples a frame of the Whisper feature extractor, at 16 kHz

MIXED_VIDEOS = BatchFault(
    Outcome.CRASH_STEP,
    "a video beside a row that is not one video alone: the pixel values of the videos, in a list for each video, take "
    "the place of those of all rows (llamafactory 0.9.5, mm_plugin.py: MiniCPMVPlugin._get_mm_inputs), and the model "
    "finds none for the last rows (modeling_minicpmv.py, get_vllm_embedding: IndexError)",
    "per_device_train_batch_size: 1 without packing, or videos in a run of their own",
    COLLATION,
)
PACKED_BOTH = BatchFault(
    Outcome.CRASH_STEP,
    "images and videos packed in one sequence: the pixel values of the videos take the place of those of the images "
    "(llamafactory 0.9.5, mm_plugin.py: MiniCPMVPlugin._get_mm_inputs)",
    "packing: false, or images and videos in runs of their own",
)
MIXED_SOUNDS = BatchFault(
    Outcome.CRASH_STEP,
    "a row without sound: the model joins the sounds of each row, and there are none to join (modeling_minicpmo.py, "
    "get_omni_embedding: torch.cat of an empty list); only the first row of a batch without any sound is given one",
    "per_device_train_batch_size: 1, or sounds in a run of their own; without any sound, template minicpm_v",
    COLLATION,
)
STREAMED = BatchFault(
    Outcome.CRASH_STEP,
    "more than one row with MiniCPM-o 4.5 as it hears: its model takes one at a time (modeling_minicpmo.py, "
    "get_omni_embedding: assert bs == 1)",
    "per_device_train_batch_size: 1; without sounds, template minicpm_v",
)


@dataclass(frozen=True, slots=True)
class MiniCPMProcessor:
    """preprocessor_config.json's values; the defaults are those of every published 2.6 to 4.5 model."""

    max_slice_nums: int = 9
    scale_resolution: int = 448
    queries: int = 64
    use_image_id: bool = True
    slice_mode: bool = True
    audio_pool_step: int = 2
    audio_chunked: bool = True
    """MiniCPM-o 2.6 honours chunk_input=True; 4.5 has no such parameter and gives one unchunked block."""

    @staticmethod
    def from_config(config: Mapping[str, object]) -> MiniCPMProcessor:
        """Read a preprocessor_config.json; what it leaves out keeps the default."""

        def number(key: str, default: int) -> int:
            value = config.get(key)
            return value if isinstance(value, int) and not isinstance(value, bool) else default

        def flag(key: str, default: bool) -> bool:
            value = config.get(key)
            return value if isinstance(value, bool) else default

        pool = number("audio_pool_step", 2)
        return MiniCPMProcessor(
            max_slice_nums=number("max_slice_nums", 9),
            scale_resolution=number("scale_resolution", 448),
            queries=number("image_feature_size", 64),
            use_image_id=flag("use_image_id", True),
            slice_mode=flag("slice_mode", True),
            audio_pool_step=pool,
            audio_chunked=pool == 2,
        )


def sliced_grid(size: Size, max_slices: int, scale: int) -> tuple[int, int] | None:
    """Columns and rows of the slices, None when the image is not sliced (get_sliced_grid).

    Candidates and their order are the source's: on an exact tie the first grid wins, and for square images the two
    orientations differ by an ulp, so that the order of the floating-point operations matters.
    """
    log_ratio = math.log(size.width / size.height)
    multiple = min(math.ceil(size.width * size.height / (scale * scale)), max_slices)
    if multiple <= 1:
        return None
    best, best_error = (1, 1), float("inf")
    for slices in (multiple - 1, multiple, multiple + 1):
        if slices == 1 or slices > max_slices:
            continue
        for columns in range(1, slices + 1):
            if slices % columns:
                continue
            error = abs(log_ratio - math.log(columns / (slices // columns)))
            if error < best_error:
                best, best_error = (columns, slices // columns), error
    return best


def image_parts(size: Size, max_slices: int, processor: MiniCPMProcessor) -> Iterator[str | Run]:
    """One image's placeholder without its id: overview, slices, line breaks between slice rows.

    Source: image_processing_minicpmv.py, get_slice_image_placeholder and get_grid_placeholder.
    """
    queries = Run(UNKNOWN, processor.queries)
    yield from ("<image>", queries, "</image>")
    grid = sliced_grid(size, max_slices, processor.scale_resolution) if processor.slice_mode else None
    if grid is not None:
        columns, rows = grid
        for row in range(rows):
            if row:
                yield "\n"
            for _ in range(columns):
                yield from ("<slice>", queries, "</slice>")


def audio_parts(samples: int, processor: MiniCPMProcessor) -> Iterator[str | Run]:
    """An audio placeholder; `samples` at the processor's rate (processing_minicpmo.py: get_audio_placeholder)."""
    features = max(pooled(math.ceil(samples / HOP_LENGTH), processor.audio_pool_step), 0)
    if not processor.audio_chunked:
        yield from ("<|audio_start|>", Run(UNKNOWN, features), "<|audio_end|>")
        return
    a_chunk = pooled(100, processor.audio_pool_step)  # one second of 10 ms frames
    for done in range(0, features, a_chunk):
        yield from ("<|audio_start|>", Run(UNKNOWN, min(a_chunk, features - done)), "<|audio_end|>")


def pooled(frames: int, pool: int) -> int:
    """Frames after the encoder's stride-2 convolution and the pooling layer."""
    return ((frames - 1) // 2 + 1 - pool) // pool + 1


def own_marks(text: str, placed: Sequence[Placed]) -> str:
    """A text with the plugin's intermediate marks, which a person can have written as well (process_messages).

    Beside media of that kind such a mark counts as one more placeholder (IndexError); else it stays as text. Raises
    Crash.
    """
    sounds = any(item.kind is MediaKind.AUDIO for item in placed)
    pictures = any(item.kind is not MediaKind.AUDIO for item in placed)
    if (pictures and "{{image}}" in text) or (sounds and "{{audio}}" in text):
        raise Crash("{{image}} or {{audio}} in the text counts as one more placeholder (IndexError)")
    return text.replace("{{image}}", IMAGE_MARK).replace("{{audio}}", SOUND_MARK)


@dataclass(frozen=True, slots=True)
class MiniCPM(Family):
    """The family, ready to count with one model's processor and one run's settings."""

    settings: TrainerSettings
    processor: MiniCPMProcessor
    hears: bool
    """Whether the template takes sound (MiniCPM-o): the collator then pairs the marks of sound and speech, too."""
    joins_ranges: bool = False
    """Whether the model joins the ranges of images (V 4.5), so that they may differ in length; the others stack them
    (modeling_minicpmv.py of 2.6 and modeling_minicpmo.py of o 4.5: torch.stack; of V 4.5: torch.cat)."""

    @property
    def cut(self) -> Cut:
        """mm_plugin.py, MiniCPMVPlugin.get_mm_inputs: opening and closing tokens are stacked side by side."""
        return Cut.PAIRS

    @property
    def tokens(self) -> tuple[str, ...]:
        """The marks of images and slices; of sound where the model hears."""
        marks = ("<image>", "</image>", "<slice>", "</slice>", "<image_id>", "</image_id>", UNKNOWN)
        return (*marks, "<|audio_start|>", "<|audio_end|>") if self.hears else marks

    @property
    def features(self) -> tuple[str, ...]:
        """<unk> stands in the places of all features; one in the text is as good as any other word."""
        return (UNKNOWN,)

    @property
    def watched(self) -> tuple[str, ...]:
        """Everything that the collator looks for."""
        pairs = (*IMAGE_PAIRS, *SOUND_PAIRS, SPEECH_PAIR) if self.hears else IMAGE_PAIRS
        return (UNKNOWN, *(token for pair in pairs for token in pair))

    def rewritten(self, text: str, placed: Sequence[Placed]) -> str:
        """The plugin's own marks count as placeholders wherever they come from."""
        return own_marks(text, placed)

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """One block a placeholder; a video is its frames, one after the other."""
        given = Counter(item.kind for item in placed)
        if given[MediaKind.IMAGE] and given[MediaKind.VIDEO]:
            raise Crash("MiniCPM-V takes no images beside a video in one row", Why.MIX)
        if given[MediaKind.VIDEO] > 1:
            raise Crash("frame sizes are looked up in the first video only (IndexError)", Why.MIX)
        if given[MediaKind.AUDIO] and (fault := self.step_fault(placed)):
            raise Crash(fault)
        self.refuse_flat(placed)
        return [Block(tuple(self.parts(item))) for item in placed]

    def refuse_flat(self, placed: Sequence[Placed]) -> None:
        """Raise Crash where the first image of a row, or frame of a video, is 1 or 3 pixels high.

        The image processor takes rows for channels then, of all images of the row (image_processing_minicpmv.py,
        preprocess: infer_channel_dimension_format; transformers, image_transforms.py: normalize).
        """
        first = next((item for item in placed if item.kind is not MediaKind.AUDIO), None)
        if first is None:
            return
        shown = first.facts.listed[0] if first.facts.listed else first.facts
        limits = self.settings.image_max_pixels, self.settings.image_min_pixels
        if first.kind is MediaKind.VIDEO:
            limits = self.settings.video_max_pixels, self.settings.video_min_pixels
        size = regularize(Size(shown.width, shown.height), *limits)
        if size.height in CHANNELS:
            what = "image" if first.kind is MediaKind.IMAGE else "frame"
            raise Crash(f"the first {what} is {size.height} pixels high, which is taken for its channels", Why.SIZE)

    def parts(self, item: Placed) -> Iterator[str | Run]:
        """What one placeholder becomes."""
        limits, facts = self.settings, item.facts
        size = Size(facts.width, facts.height)
        match item.kind:
            case MediaKind.IMAGE:
                size = regularize(size, limits.image_max_pixels, limits.image_min_pixels)
                if self.processor.use_image_id:
                    yield f"<image_id>{item.slot}</image_id>"
                yield from image_parts(size, self.processor.max_slice_nums, self.processor)
            case MediaKind.VIDEO:
                blocks = self.blocks(facts)
                for frame in facts.listed or (facts,) * blocks:
                    yield from self.frame(Size(frame.width, frame.height))
            case MediaKind.AUDIO:
                yield from audio_parts(resampled(facts.samples, facts.rate, limits.audio_sampling_rate), self.processor)

    def blocks(self, facts: MediaFacts) -> int:
        """Blocks of tokens of a video file: one a frame, or with enable_high_fps one a pack of frames."""
        packed = sample_of(facts, self.settings)
        if packed is not None:
            return packed.blocks(facts.decoded)
        return decoded_frames(facts, self.settings.video_fps, self.settings.video_maxlen)

    def frame(self, size: Size) -> tuple[str | Run, ...]:
        """One frame of a video."""
        size = regularize(size, self.settings.video_max_pixels, self.settings.video_min_pixels)
        return tuple(image_parts(size, VIDEO_SLICES, self.processor))

    def step_fault(self, placed: Sequence[Placed]) -> str:
        """The collator adds a sound to rows without one, so that a wrong rate stops every row."""
        return rate_fault(self.settings.audio_sampling_rate, WHISPER_RATE) if self.hears else ""

    @property
    def joins(self) -> bool:
        """See batch_fault."""
        return True

    def batch_fault(self, members: Sequence[Member]) -> BatchFault | None:
        """Videos take the place of all pixel values, in a list for each video instead of each row; and what has no
        sound has nothing to join (modeling_minicpmo.py: get_omni_embedding)."""
        if self.hears and not self.processor.audio_chunked and len(members) > 1:
            return STREAMED
        if any(member.videos and member.images for member in members):
            return PACKED_BOTH
        if any(member.videos for member in members) and any(member.videos != 1 for member in members):
            return MIXED_VIDEOS
        if not self.hears:
            return None
        silent = sum(not member.audios for member in members)
        if silent > (silent == len(members)):  # the collator gives the first row a sound where no row has one
            return MIXED_SOUNDS
        return None

    def refuses(self, literals: Sequence[Literal], units: Sequence[Unit], end: int, media: Media) -> str:
        """Pair marks and fill what lies between, as collator and model do (get_mm_inputs; modeling_minicpmv.py,
        get_vllm_embedding; modeling_minicpmo.py, get_omni_embedding)."""
        pictures = [unit for unit in units if unit.kind is not MediaKind.AUDIO]
        seen = sum(block.features for item, block in media if item.kind is not MediaKind.AUDIO)
        if not seen:  # the collator adds an image behind a row without one
            seen = self.processor.queries
            pictures.append(Unit(end + 1, self.processor.queries, MediaKind.IMAGE))
        bounds = pair(literals, pictures, IMAGE_PAIRS)
        if bounds is None:
            return "marks of images in the text itself: as many must open as close"
        uneven = len(set(bounds)) > 1 and not self.joins_ranges
        if uneven or any(length < 0 for length in bounds) or sum(bounds) > seen:
            return "marks of images in the text itself, around a place for which there is no image"
        return self.refuses_sound(literals, units, end, media) if self.hears else ""

    def refuses_sound(self, literals: Sequence[Literal], units: Sequence[Unit], end: int, media: Media) -> str:
        """The same for sound: all features of the row are joined, and one place after the other is filled from them."""
        sounds = [unit for unit in units if unit.kind is MediaKind.AUDIO]
        given_sounds = [block for item, block in media if item.kind is MediaKind.AUDIO]
        heard = sum(block.features for block in given_sounds)
        if not given_sounds:  # the collator adds 0.1 s of silence to a row without sound
            heard = sum(part.count for part in audio_parts(1600, self.processor) if isinstance(part, Run))
            sounds.append(Unit(end + self.processor.queries + 8, heard, MediaKind.AUDIO))
        bounds = pair(literals, sounds, SOUND_PAIRS)
        if bounds is None or pair(literals, [], (SPEECH_PAIR,)) is None:
            return "marks of sound or speech in the text itself: as many must open as close"
        at = 0
        for length in bounds:
            given = max(0, min(length, heard - at))
            if length < 0 or given not in (length, 1):  # a single feature is spread over the whole place
                return "marks of sound in the text itself, around a place for which there is no sound"
            at += length
        return ""


def pair(literals: Sequence[Literal], units: Sequence[Unit], marks: Sequence[tuple[str, str]]) -> list[int] | None:
    """Tokens between each opening mark and its closing one, in the order of the row; None when they do not pair up."""
    opening, closing = {first for first, _ in marks}, {last for _, last in marks}
    first = [item.place for item in literals if item.token in opening] + [unit.start - 1 for unit in units]
    last = [item.place for item in literals if item.token in closing] + [
        unit.start + unit.tokens for unit in units if unit.closed
    ]
    if len(first) != len(last):
        return None
    return [end - start - 1 for start, end in zip(sorted(first), sorted(last), strict=True)]


def make(settings: TrainerSettings, configs: Mapping[str, Mapping[str, object]]) -> MiniCPM:
    """The family for a model's preprocessor_config.json; the template says whether the model hears."""
    template = find_template(settings.template or "")
    hears = template is not None and template.accepts(MediaKind.AUDIO)
    return MiniCPM(settings, MiniCPMProcessor.from_config(configs["image"]), hears, joins_ranges(settings))


def joins_ranges(settings: TrainerSettings) -> bool:
    """Whether a run's model is known to be MiniCPM-V 4.5."""
    found = families_of(settings.model, model_config(settings.model), settings.template)
    return found == (BY_NAME["minicpm_v_4_5"],)
