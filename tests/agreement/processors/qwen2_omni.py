"""Qwen2_5OmniProcessor and Qwen3OmniMoeProcessor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors import saved, tokenizer

OLD = {
    "image_token": "<|IMAGE|>",
    "audio_token": "<|AUDIO|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
NEW = {
    "image_token": "<|image_pad|>",
    "audio_token": "<|audio_pad|>",
    "video_token": "<|video_pad|>",
    "vision_bos_token": "<|vision_start|>",
    "vision_eos_token": "<|vision_end|>",
    "audio_bos_token": "<|audio_start|>",
    "audio_eos_token": "<|audio_end|>",
}


def processor(folder: Path) -> Any:
    """Qwen2.5-Omni's, with its 300 seconds of sound."""
    from transformers import (
        Qwen2_5OmniProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
        WhisperFeatureExtractor,
    )

    made = Qwen2_5OmniProcessor(
        Qwen2VLImageProcessor(),
        Qwen2VLVideoProcessor(),
        WhisperFeatureExtractor(feature_size=128, chunk_length=300),
        tokenizer([], OLD),
    )
    return saved(made, folder)


def qwen3(folder: Path) -> Any:
    """Qwen3-Omni's, whose patches are of 16 pixels."""
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
        Qwen3OmniMoeProcessor,
        WhisperFeatureExtractor,
    )

    sizes = {"shortest_edge": 3136, "longest_edge": 12845056}
    made = Qwen3OmniMoeProcessor(
        Qwen2VLImageProcessor(patch_size=16, size=dict(sizes)),
        Qwen2VLVideoProcessor(patch_size=16, size={"shortest_edge": 131072, "longest_edge": 786432}),
        WhisperFeatureExtractor(feature_size=128, chunk_length=30),
        tokenizer([], NEW),
    )
    return saved(made, folder)
