"""Qwen2_5OmniProcessor and Qwen3OmniMoeProcessor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors import AUDIO, VISION, ids_of, text_config, tokenizer
from tests.agreement.processors.loading import image_class, reloaded

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
    """Qwen2.5-Omni's, with 40 seconds of sound instead of its 300, as all are padded to that."""
    from transformers import (
        Qwen2_5OmniProcessor,
        Qwen2VLVideoProcessor,
        WhisperFeatureExtractor,
    )

    made = Qwen2_5OmniProcessor(
        image_class("Qwen2VLImageProcessor")(),
        Qwen2VLVideoProcessor(),
        WhisperFeatureExtractor(feature_size=128, chunk_length=40),
        tokenizer([], OLD),
    )
    return reloaded(made, folder)


def qwen3(folder: Path) -> Any:
    """Qwen3-Omni's, whose patches are of 16 pixels."""
    from transformers import (
        Qwen2VLVideoProcessor,
        Qwen3OmniMoeProcessor,
        WhisperFeatureExtractor,
    )

    sizes = {"shortest_edge": 3136, "longest_edge": 12845056}
    made = Qwen3OmniMoeProcessor(
        image_class("Qwen2VLImageProcessor")(patch_size=16, size=dict(sizes)),
        Qwen2VLVideoProcessor(patch_size=16, size={"shortest_edge": 131072, "longest_edge": 786432}),
        WhisperFeatureExtractor(feature_size=128, chunk_length=30),
        tokenizer([], NEW),
    )
    return reloaded(made, folder)


def model(made: Any) -> Any:
    """A tiny random thinker of Qwen2.5-Omni: the part that LLaMA-Factory trains."""
    from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration

    return Qwen2_5OmniThinkerForConditionalGeneration(
        Qwen2_5OmniThinkerConfig(
            text_config=text_config(made),
            vision_config=VISION | {"fullatt_block_indexes": [1]},
            audio_config=AUDIO | {"output_dim": 64},
            position_id_per_seconds=25,
            seconds_per_chunk=2,
            **token_ids(made),
        )
    )


def qwen3_model(made: Any) -> Any:
    """A tiny random thinker of Qwen3-Omni."""
    from transformers import Qwen3OmniMoeThinkerForConditionalGeneration
    from transformers.models.qwen3_omni_moe.configuration_qwen3_omni_moe import Qwen3OmniMoeThinkerConfig

    experts = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 32}
    return Qwen3OmniMoeThinkerForConditionalGeneration(
        Qwen3OmniMoeThinkerConfig(
            text_config=text_config(made, head_dim=16, **experts),
            vision_config=VISION | {"deepstack_visual_indexes": [1]},
            audio_config=AUDIO | {"output_dim": 64, "downsample_hidden_size": 32},
            **token_ids(made),
        )
    )


def token_ids(made: Any) -> dict[str, int]:
    """The ids that both thinkers' configs name."""
    names = {
        "image_token_id": "image_token",
        "video_token_id": "video_token",
        "audio_token_id": "audio_token",
        "audio_start_token_id": "audio_bos_token",
        "audio_end_token_id": "audio_eos_token",
        "vision_start_token_id": "vision_bos_token",
        "vision_end_token_id": "vision_eos_token",
    }
    return ids_of(made, **{key: getattr(made.tokenizer, name) for key, name in names.items()})
