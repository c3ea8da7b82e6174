"""PaliGemmaProcessor over SigLIP's image processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors.loading import reloaded
from tests.agreement.processors.tokenizers import tiny_tokenizer

VARIANTS = [16, 256]


def processor(folder: Path, variant: int = 0) -> Any:
    """The real processor of one variant, saved in the folder."""
    from transformers import PaliGemmaProcessor, SiglipImageProcessor

    images = SiglipImageProcessor()
    images.image_seq_length = VARIANTS[variant]  # as in the released preprocessor_config.json
    return reloaded(PaliGemmaProcessor(images, tiny_tokenizer(["<image>"], kind="GemmaTokenizerFast")), folder)
