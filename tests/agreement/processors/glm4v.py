"""Glm4vProcessor and Glm46VProcessor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors import VISION, ids_of, text_config, tokenizer
from tests.agreement.processors.loading import reloaded
from tests.installed import major_transformers

HAS_GLM46V = major_transformers() > 4
"""GLM-4.6V's and GLM-OCR's classes came with transformers 5."""
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

    return reloaded(Glm4vProcessor(Glm4vImageProcessor(), tokenizer(SPECIAL), Glm4vVideoProcessor()), folder)


def glm46v(folder: Path) -> Any:
    """GLM-4.6V's and GLM-OCR's, with smaller limits."""
    from transformers import Glm46VImageProcessor, Glm46VProcessor, Glm46VVideoProcessor

    sizes = {"shortest_edge": 50000, "longest_edge": 400000}
    made = Glm46VProcessor(Glm46VImageProcessor(size=sizes), tokenizer(SPECIAL), Glm46VVideoProcessor())
    return reloaded(made, folder)


def model(made: Any) -> Any:
    """A tiny random GLM-4.1V."""
    from transformers import Glm4vConfig, Glm4vForConditionalGeneration

    ids = ids_of(
        made,
        image_token_id="<|image|>",
        video_token_id="<|video|>",
        image_start_token_id="<|begin_of_image|>",
        image_end_token_id="<|end_of_image|>",
        video_start_token_id="<|begin_of_video|>",
        video_end_token_id="<|end_of_video|>",
    )
    return Glm4vForConditionalGeneration(Glm4vConfig(text_config=text_config(made), vision_config=VISION, **ids))
