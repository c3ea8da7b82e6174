"""Glm4vProcessor and Glm46VProcessor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors import saved, tokenizer

SPECIAL = ["<|begin_of_image|>", "<|end_of_image|>", "<|image|>", "<|video|>"]
SPECIAL += [
    "<|begin_of_video|>",
    "<|end_of_video|>",
    "<|user|>",
    "<|assistant|>",
    "<|observation|>",
    "[gMASK]",
    "<sop>",
]


def processor(folder: Path) -> Any:
    """GLM-4.1V's and GLM-4.5V's."""
    from transformers import Glm4vImageProcessor, Glm4vProcessor, Glm4vVideoProcessor

    return saved(Glm4vProcessor(Glm4vImageProcessor(), tokenizer(SPECIAL), Glm4vVideoProcessor()), folder)


def glm46v(folder: Path) -> Any:
    """GLM-4.6V's and GLM-OCR's, with smaller limits."""
    from transformers import Glm46VImageProcessor, Glm46VProcessor, Glm46VVideoProcessor

    sizes = {"shortest_edge": 50000, "longest_edge": 400000}
    made = Glm46VProcessor(Glm46VImageProcessor(size=sizes), tokenizer(SPECIAL), Glm46VVideoProcessor())
    return saved(made, folder)
