"""InternVLProcessor with small tiles and short sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors.loading import reloaded
from tests.agreement.processors.tokenizers import tiny_tokenizer

NAMES = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
VARIANTS: list[dict[str, Any]] = [
    {"size": {"height": 28, "width": 28}},
    {"size": {"height": 56, "width": 28}, "crop_to_patches": True, "max_patches": 6, "min_patches": 2},
    {"size": {"shortest_edge": 28}},
    {"size": {"height": 112, "width": 112}, "min_patches": 3},
]


def processor(folder: Path, variant: int = 0) -> Any:
    """The real processor of one variant, saved in the folder."""
    from transformers import GotOcr2ImageProcessor, InternVLProcessor, InternVLVideoProcessor

    tokenizer = tiny_tokenizer(["<image>"], NAMES | {"video_token": "<video>"})
    images = GotOcr2ImageProcessor(**VARIANTS[variant])
    videos = InternVLVideoProcessor()
    return reloaded(InternVLProcessor(images, tokenizer, videos, image_seq_length=2 + variant), folder)
