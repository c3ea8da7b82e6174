"""Qwen3VLProcessor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors import VISION, ids_of, text_config, tokenizer
from tests.agreement.processors.loading import image_class, reloaded

SPECIAL = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]


def processor(folder: Path) -> Any:
    """The sizes and patches that the published models' files state."""
    from transformers import Qwen3VLProcessor, Qwen3VLVideoProcessor

    made = Qwen3VLProcessor(
        image_class("Qwen2VLImageProcessor")(patch_size=16, size={"shortest_edge": 65536, "longest_edge": 16777216}),
        tokenizer(SPECIAL),
        Qwen3VLVideoProcessor(size={"shortest_edge": 4096, "longest_edge": 25165824}),
    )
    return reloaded(made, folder)


def class_defaults(folder: Path) -> Any:
    """The classes' own sizes, which differ from the published ones."""
    from transformers import Qwen3VLProcessor, Qwen3VLVideoProcessor

    images = image_class("Qwen2VLImageProcessor")()
    return reloaded(Qwen3VLProcessor(images, tokenizer(SPECIAL), Qwen3VLVideoProcessor()), folder)


def model(made: Any) -> Any:
    """A tiny random Qwen3-VL."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    ids = ids_of(
        made,
        image_token_id="<|image_pad|>",
        video_token_id="<|video_pad|>",
        vision_start_token_id="<|vision_start|>",
        vision_end_token_id="<|vision_end|>",
    )
    vision = VISION | {"deepstack_visual_indexes": [1]}
    config = Qwen3VLConfig(text_config=text_config(made, head_dim=16), vision_config=vision, **ids)
    return Qwen3VLForConditionalGeneration(config)
