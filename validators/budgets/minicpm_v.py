"""MiniCPM-V 2.6 / 4.0 / 4.5 and MiniCPM-o 2.6 / 4.5: placeholders of fixed length, sliced by a grid.

Sources: llamafactory 0.9.5, mm_plugin.py: MiniCPMVPlugin (what is called with what); the remote code that the models
ship, image_processing_minicpmv.py (get_sliced_grid, get_slice_image_placeholder: the same in 2.6, 4.5, o-2.6, o-4.5)
and processing_minicpmo.py (audio_feature_extract: get_audio_placeholder). Each placeholder begins and ends with a
special token, so that its length does not depend on the text around it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from validators.budgets.family import Block, Family, RowMedia
from validators.budgets.resize import Size, decoded_frames, regularize
from validators.budgets.text import TextCounter
from validators.model import MediaKind
from validators.probes.facts import MediaFacts
from validators.settings import TrainerSettings

VIDEO_SLICES = 2  # mm_plugin.py, MiniCPMVPlugin.process_messages: max_slice_nums for videos, without image ids
HOP_LENGTH = 160  # samples a frame of the Whisper feature extractor, at 16 kHz


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


def image_tokens(size: Size, max_slices: int, processor: MiniCPMProcessor, newline: int) -> int:
    """Tokens of one image's placeholder without its id: overview, slices, line breaks between slice rows."""
    unit = processor.queries + 2  # <image> … </image>, or <slice> … </slice>
    grid = sliced_grid(size, max_slices, processor.scale_resolution) if processor.slice_mode else None
    if grid is None:
        return unit
    columns, rows = grid
    return unit + columns * rows * unit + (rows - 1) * newline


def audio_tokens(samples: int, processor: MiniCPMProcessor) -> int:
    """Tokens of an audio placeholder; `samples` at the processor's rate (get_audio_placeholder)."""
    pool = processor.audio_pool_step
    features = pooled(math.ceil(samples / HOP_LENGTH), pool)
    if not processor.audio_chunked:
        return 2 + max(features, 0)
    a_chunk = pooled(100, pool)  # one second of 10 ms frames
    chunks = (features + a_chunk - 1) // a_chunk
    return features + 2 * chunks if chunks > 0 else 0


def pooled(frames: int, pool: int) -> int:
    """Frames after the encoder's stride-2 convolution and the pooling layer."""
    return ((frames - 1) // 2 + 1 - pool) // pool + 1


def resampled(samples: int, rate: int, target: int) -> int:
    """Length after torchaudio.functional.resample (2.11, functional.py: _apply_sinc_resample_kernel).

    That is the ceil of a float32 (torch.as_tensor of a Python float), and no more than the convolution gives: the
    float32 of a long sound can be too high.
    """
    if rate in (target, 0):
        return samples
    import numpy as np

    common = math.gcd(rate, target)
    before, after = rate // common, target // common
    return min(int(np.ceil(np.float32(after * samples / before))), (samples // before + 1) * after)


@dataclass(frozen=True, slots=True)
class MiniCPM(Family):
    """The family, ready to count with one model's processor and one run's settings."""

    settings: TrainerSettings
    processor: MiniCPMProcessor
    newline: int
    digit_tokens: tuple[int, ...]
    """Tokens of "0", "1", … as the tokenizer splits image ids of that many digits (index: digits)."""

    def blocks(self, media: RowMedia) -> list[Block]:
        """One block a placeholder, in the order of the text."""
        result = []
        image_index = 0
        for kind, facts in media:
            match kind:
                case MediaKind.IMAGE:
                    result.append(Block("<image>", self.image(facts, image_index)))
                    image_index += 1
                case MediaKind.VIDEO:
                    result.append(Block("<image>", self.video(facts)))
                case MediaKind.AUDIO:
                    result.append(Block("<|audio_start|>", self.audio(facts)))
        return result

    def image(self, facts: MediaFacts, index: int) -> int:
        """Tokens of the image that is number `index` of its row."""
        limits = self.settings
        size = regularize(Size(facts.width, facts.height), limits.image_max_pixels, limits.image_min_pixels)
        tokens = image_tokens(size, self.processor.max_slice_nums, self.processor, self.newline)
        if self.processor.use_image_id:
            tokens += 2 + self.digit_tokens[min(len(str(index)), len(self.digit_tokens) - 1)]
        return tokens

    def video(self, facts: MediaFacts) -> int:
        """Tokens of all sampled frames, one after the other."""
        limits = self.settings
        frames = decoded_frames(facts, limits.video_fps, limits.video_maxlen)
        size = regularize(Size(facts.width, facts.height), limits.video_max_pixels, limits.video_min_pixels)
        return frames * image_tokens(size, VIDEO_SLICES, self.processor, self.newline)

    def audio(self, facts: MediaFacts) -> int:
        """Tokens of one sound."""
        samples = resampled(facts.samples, facts.rate, self.settings.audio_sampling_rate)
        return audio_tokens(samples, self.processor)


def make(settings: TrainerSettings, config: Mapping[str, object], counter: TextCounter | None) -> MiniCPM:
    """The family for a model: its preprocessor_config.json and its tokenizer's cost of line breaks and digits.

    Without a tokenizer each digit is taken for a token, which is Qwen's way and an upper bound for any other.
    """
    processor = MiniCPMProcessor.from_config(config)
    if counter is None:
        return MiniCPM(settings, processor, 1, (0, 1, 2, 3, 4))
    digits = (0, *counter.counts(["1" * length for length in range(1, 5)]))
    return MiniCPM(settings, processor, counter.count("\n"), digits)
