"""MllamaProcessor; nothing of it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors.loading import reloaded
from tests.agreement.processors.tokenizers import tiny_tokenizer

VARIANTS = [0]


def processor(folder: Path, variant: int = 0) -> Any:
    """The real processor, saved in the folder."""
    from transformers import MllamaImageProcessor, MllamaProcessor

    tokenizer = tiny_tokenizer(["<|image|>", "<|python_tag|>"])
    return reloaded(MllamaProcessor(MllamaImageProcessor(), tokenizer), folder)
