"""LlavaProcessor over CLIP's, SigLIP's and LLaVA's own image processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors.loading import reloaded
from tests.agreement.processors.tokenizers import tiny_tokenizer

SQUARE = {"height": 42, "width": 42}
VARIANTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("CLIPImageProcessor", {"size": {"shortest_edge": 42}, "crop_size": SQUARE}, {"num_additional_image_tokens": 1}),
    ("SiglipImageProcessor", {"size": {"height": 40, "width": 60}}, {"vision_feature_select_strategy": "full"}),
    ("LlavaImageProcessor", {"size": 30, "crop_size": 28, "do_pad": True}, {"patch_size": 4}),
    ("LlavaImageProcessor", {"size": {"shortest_edge": 14}, "do_center_crop": False}, {}),
    ("LlavaImageProcessor", {"size": {"shortest_edge": 20, "longest_edge": 50}, "do_center_crop": False}, {}),
    ("LlavaImageProcessor", {"do_resize": False, "do_center_crop": False}, {"patch_size": 9}),
    ("CLIPImageProcessor", {}, {"patch_size": None}),
]


def processor(folder: Path, variant: int = 0) -> Any:
    """The real processor of one variant, saved in the folder."""
    import transformers

    name, image, top = VARIANTS[variant]
    top = {"patch_size": 14, "vision_feature_select_strategy": "default"} | top
    images = getattr(transformers, name)(**image)
    return reloaded(transformers.LlavaProcessor(images, tiny_tokenizer(["<image>"]), **top), folder)
