"""LlavaNextVideoProcessor with small tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors import llava_next
from tests.agreement.processors.loading import reloaded
from tests.agreement.processors.tokenizers import tiny_tokenizer

VARIANTS = llava_next.VARIANTS[:2]


def processor(folder: Path, variant: int = 0) -> Any:
    """The real processor of one variant, saved in the folder."""
    from transformers import LlavaNextImageProcessor, LlavaNextVideoProcessor, LlavaNextVideoVideoProcessor

    image, top = llava_next.settings(variant)
    tokenizer = tiny_tokenizer(["<image>", "<video>"], kind="LlamaTokenizerFast")
    images, videos = LlavaNextImageProcessor(**image), LlavaNextVideoVideoProcessor(size=28, crop_size=28)
    return reloaded(LlavaNextVideoProcessor(videos, images, tokenizer, **top), folder)
