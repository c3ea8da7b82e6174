"""Llama4Processor with small tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors.loading import image_class, reloaded
from tests.agreement.processors.tokenizers import tiny_tokenizer

TOKENS = ["<|image_start|>", "<|image|>", "<|patch|>", "<|image_end|>", "<|tile_x_separator|>", "<|tile_y_separator|>"]
VARIANTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"size": {"height": 56, "width": 56}}, {}),
    ({"size": 48, "max_patches": 5}, {"patch_size": 6}),
    ({"size": {"height": 112, "width": 112}, "max_patches": 12, "resize_to_max_canvas": True}, {"patch_size": 28}),
    ({}, {}),
]


def processor(folder: Path, variant: int = 0) -> Any:
    """The real processor of one variant, saved in the folder."""
    from transformers import Llama4Processor

    image, top = VARIANTS[variant]
    return reloaded(
        Llama4Processor(image_class("Llama4ImageProcessor")(**image), tiny_tokenizer(TOKENS), **top), folder
    )
