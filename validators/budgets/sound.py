"""Sounds as LLaMA-Factory hands them to a model, and how many frames a Whisper feature extractor makes of them.

Sources: llamafactory 0.9.5, mm_plugin.py: MMPluginMixin._regularize_audios; torchaudio 2.11, functional.resample;
transformers 5.6.0, models/whisper/feature_extraction_whisper.py: WhisperFeatureExtractor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from validators.budgets.config_values import number
from validators.budgets.family import Crash
from validators.probes.facts import MediaFacts

WHISPER_RATE = 16000
MOST_RATE = 1 << 24
"""Samples a second, far more than any sound has."""


def resampled(samples: int, rate: int, target: int) -> int:
    """Length after torchaudio.functional.resample (2.11, functional.py: _apply_sinc_resample_kernel).

    That is the ceil of a float32 (torch.as_tensor of a Python float), and no more than the convolution gives: the
    float32 of a long sound can be too high. Crash for a rate that it does not resample to.
    """
    if rate in (target, 0):
        return samples
    if target < 1:
        raise Crash(f"audio_sampling_rate {target}: Original frequency and desired frequecy should be positive")
    if target > MOST_RATE:
        raise Crash(f"audio_sampling_rate {target}: no memory for a filter of as many phases")
    import numpy as np

    common = math.gcd(rate, target)
    before, after = rate // common, target // common
    return min(int(np.ceil(np.float32(after * samples / before))), (samples // before + 1) * after)


def rate_fault(rate: int, own: int) -> str:
    """What a feature extractor says to sounds of another rate than its own; "" to those of its own."""
    if rate == own:
        return ""
    return f"the feature extractor was trained with a sampling rate of {own}, but audio_sampling_rate is {rate}"


@dataclass(frozen=True, slots=True)
class Whisper:
    """A WhisperFeatureExtractor's settings with the class's defaults: samples a second, samples a hop, seconds."""

    sampling_rate: int = WHISPER_RATE
    hop_length: int = 160
    chunk_length: int = 30

    @staticmethod
    def from_config(config: Mapping[str, object]) -> Whisper:
        """Read a feature extractor's config; what it leaves out keeps the default."""

        return Whisper(
            number(config, "sampling_rate", WHISPER_RATE, most=MOST_RATE),
            number(config, "hop_length", 160),
            number(config, "chunk_length", 30),
        )

    def frames(self, facts: MediaFacts, rate: int) -> int:
        """Frames that the attention mask marks for one sound at the trainer's `rate`, cut at chunk_length.

        Raises Crash where the rate is not the extractor's own.
        """
        if fault := rate_fault(rate, self.sampling_rate):
            raise Crash(fault)
        longest = self.chunk_length * self.sampling_rate
        samples = min(resampled(facts.samples, facts.rate, rate), longest)
        frames = math.ceil(samples / self.hop_length)
        # the mask takes every hop_length-th sample, and drops the last of them when the hops do not fill the chunk
        return min(frames, longest // self.hop_length)


def pooled_frames(frames: int) -> int:
    """Frames after Qwen's audio encoder: a convolution of stride 2, then average pooling by 2."""
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1
