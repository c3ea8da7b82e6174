"""Qwen2AudioProcessor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors import saved, tokenizer

SPECIAL = ["<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]


def processor(folder: Path) -> Any:
    """With Whisper's 30 seconds."""
    from transformers import Qwen2AudioProcessor, WhisperFeatureExtractor

    return saved(Qwen2AudioProcessor(WhisperFeatureExtractor(feature_size=128), tokenizer(SPECIAL)), folder)


def odd_hops(folder: Path) -> Any:
    """A hop length that does not divide the chunk."""
    from transformers import Qwen2AudioProcessor, WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(hop_length=170, chunk_length=7)
    return saved(Qwen2AudioProcessor(extractor, tokenizer(SPECIAL)), folder)
