"""LlavaNextProcessor with small tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors.loading import reloaded
from tests.agreement.processors.tokenizers import tiny_tokenizer

SQUARE = {"height": 42, "width": 42}
PINPOINTS = [[42, 84], [84, 42], [84, 84], [126, 42], [42, 126]]
VARIANTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"size": {"shortest_edge": 42}, "crop_size": SQUARE, "image_grid_pinpoints": PINPOINTS}, {}),
    (
        {
            "size": SQUARE,
            "crop_size": SQUARE,
            "image_grid_pinpoints": [[42 * n, 42 * m] for n in (1, 2, 3) for m in (1, 5)],
        },
        {},
    ),
    ({"size": {"shortest_edge": 42}, "crop_size": 42, "do_center_crop": False, "image_grid_pinpoints": PINPOINTS}, {}),
    ({"size": {"shortest_edge": 42}, "crop_size": SQUARE, "image_grid_pinpoints": [[40, 90], [100, 50], [50, 50]]}, {}),
    ({"size": 42, "crop_size": 42, "do_center_crop": False, "image_grid_pinpoints": [[60, 90], [42, 42]]}, {}),
    ({"size": 42, "crop_size": 42, "do_pad": False, "image_grid_pinpoints": PINPOINTS}, {}),
    ({"size": {"shortest_edge": 28}, "crop_size": SQUARE, "image_grid_pinpoints": PINPOINTS}, {"patch_size": 5}),
    ({}, {"vision_feature_select_strategy": "full", "num_additional_image_tokens": 0, "patch_size": 32}),
]


def settings(variant: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Image processor's and processor's settings of a variant."""
    image, top = VARIANTS[variant]
    usual = {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    return image, usual | top


def processor(folder: Path, variant: int = 0) -> Any:
    """The real processor of one variant, saved in the folder."""
    from transformers import LlavaNextImageProcessor, LlavaNextProcessor

    image, top = settings(variant)
    return reloaded(LlavaNextProcessor(LlavaNextImageProcessor(**image), tiny_tokenizer(["<image>"]), **top), folder)
