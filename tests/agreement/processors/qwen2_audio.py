"""Qwen2AudioProcessor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors import AUDIO, ids_of, text_config, tokenizer
from tests.agreement.processors.loading import reloaded

SPECIAL = ["<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]


def processor(folder: Path) -> Any:
    """With Whisper's 30 seconds."""
    from transformers import Qwen2AudioProcessor, WhisperFeatureExtractor

    return reloaded(Qwen2AudioProcessor(WhisperFeatureExtractor(feature_size=128), tokenizer(SPECIAL)), folder)


def odd_hops(folder: Path) -> Any:
    """A hop length that does not divide the chunk."""
    from transformers import Qwen2AudioProcessor, WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(hop_length=170, chunk_length=7)
    return reloaded(Qwen2AudioProcessor(extractor, tokenizer(SPECIAL)), folder)


def model(made: Any) -> Any:
    """A tiny random Qwen2-Audio."""
    from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration

    ids = ids_of(made, audio_token_id="<|AUDIO|>", audio_token_index="<|AUDIO|>")
    text = text_config(made, model_type="qwen2", rope_scaling=None)
    return Qwen2AudioForConditionalGeneration(Qwen2AudioConfig(audio_config=AUDIO, text_config=text, **ids))
