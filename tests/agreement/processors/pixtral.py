"""PixtralProcessor as Pixtral and as Mistral 3 (merged patches) have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors.loading import reloaded
from tests.agreement.processors.tokenizers import tiny_tokenizer

VARIANTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"size": {"longest_edge": 210}, "patch_size": 14}, {"patch_size": 14, "spatial_merge_size": 2}),
    ({"size": {"height": 100, "width": 60}, "patch_size": {"height": 20, "width": 8}}, {"patch_size": 10}),
    ({"size": 64, "patch_size": 8}, {"patch_size": 8, "image_break_token": "[B]", "image_end_token": "[E]"}),
    ({"do_resize": False}, {}),
]


def processor(folder: Path, variant: int = 0) -> Any:
    """The real processor of one variant, saved in the folder."""
    from transformers import PixtralImageProcessor, PixtralProcessor

    image, top = VARIANTS[variant]
    tokenizer = tiny_tokenizer(["[IMG]", "[IMG_BREAK]", "[IMG_END]", "[B]", "[E]"])
    return reloaded(PixtralProcessor(PixtralImageProcessor(**image), tokenizer, **top), folder)
