"""Qwen2VLProcessor and Qwen2_5_VLProcessor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.agreement.processors import tokenizer
from tests.agreement.processors.loading import image_class, reloaded

SPECIAL = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]


def processor(folder: Path) -> Any:
    """Qwen2-VL's with the classes' own sizes."""
    from transformers import Qwen2VLProcessor, Qwen2VLVideoProcessor

    made = Qwen2VLProcessor(image_class("Qwen2VLImageProcessor")(), tokenizer(SPECIAL), Qwen2VLVideoProcessor())
    return reloaded(made, folder)


def qwen2_5(folder: Path) -> Any:
    """Qwen2.5-VL's with other sizes."""
    from transformers import Qwen2_5_VLProcessor, Qwen2VLVideoProcessor

    sizes = {"shortest_edge": 3136, "longest_edge": 602112}
    images = image_class("Qwen2VLImageProcessor")(size=dict(sizes))
    return reloaded(Qwen2_5_VLProcessor(images, tokenizer(SPECIAL), Qwen2VLVideoProcessor(size=dict(sizes))), folder)


def plain(folder: Path) -> Any:
    """The files of a model that an older transformers saved: one preprocessor_config.json for images and videos."""
    from transformers import AutoProcessor, Qwen2VLVideoProcessor

    tokenizer(SPECIAL).save_pretrained(folder)
    config = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2VLProcessor",
        "min_pixels": 12544,
        "max_pixels": 200704,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(config))
    kinds = (image_class("Qwen2VLImageProcessor"), Qwen2VLVideoProcessor)
    sizes = [dict(kind.size) for kind in kinds]
    try:
        return AutoProcessor.from_pretrained(folder, use_fast=True, local_files_only=True)
    finally:  # loading min_pixels without a size writes it into the class's own, for all that are made after it
        for kind, size in zip(kinds, sizes, strict=True):
            kind.size = size
