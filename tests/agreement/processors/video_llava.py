"""VideoLlavaProcessor with small pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors.loading import reloaded
from tests.agreement.processors.tokenizers import tiny_tokenizer

VARIANTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"size": {"shortest_edge": 30}, "do_center_crop": False}, {"vision_feature_select_strategy": "full"}),
    ({"size": {"height": 20, "width": 30}, "crop_size": 42}, {"patch_size": 6, "num_additional_image_tokens": 0}),
]


def processor(folder: Path, variant: int = 0) -> Any:
    """The real processor of one variant, saved in the folder."""
    from transformers import VideoLlavaImageProcessor, VideoLlavaProcessor, VideoLlavaVideoProcessor

    image, top = VARIANTS[variant]
    tokenizer = tiny_tokenizer(["<image>", "<video>"])
    whole = VideoLlavaProcessor(VideoLlavaImageProcessor(**image), VideoLlavaVideoProcessor(), tokenizer, **top)
    return reloaded(whole, folder)
