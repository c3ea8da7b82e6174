"""Gemma3Processor with short sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors.loading import reloaded
from tests.agreement.processors.tokenizers import tiny_tokenizer

NAMES = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}
VARIANTS = [4, 256]


def processor(folder: Path, variant: int = 0) -> Any:
    """The real processor of one variant, saved in the folder."""
    from transformers import Gemma3ImageProcessor, Gemma3Processor

    images = Gemma3ImageProcessor(size={"height": 28, "width": 28})
    whole = Gemma3Processor(images, tiny_tokenizer([], NAMES), image_seq_length=VARIANTS[variant])
    return reloaded(whole, folder)
