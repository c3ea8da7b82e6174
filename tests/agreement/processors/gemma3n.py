"""Gemma3nProcessor with short sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors import gemma3
from tests.agreement.processors.loading import reloaded
from tests.agreement.processors.tokenizers import tiny_tokenizer

SOUNDS = {"audio_token": "<audio_soft_token>", "boa_token": "<start_of_audio>", "eoa_token": "<end_of_audio>"}
VARIANTS: list[dict[str, int]] = [{"image_seq_length": 3, "audio_seq_length": 5}, {}]


def processor(folder: Path, variant: int = 0) -> Any:
    """The real processor of one variant, saved in the folder."""
    from transformers import Gemma3nAudioFeatureExtractor, Gemma3nProcessor, SiglipImageProcessor

    tokenizer = tiny_tokenizer([], gemma3.NAMES | SOUNDS)
    sounds, images = Gemma3nAudioFeatureExtractor(), SiglipImageProcessor()
    return reloaded(Gemma3nProcessor(sounds, images, tokenizer, **VARIANTS[variant]), folder)
