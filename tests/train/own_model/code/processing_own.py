"""The processor: an image is one feature, whatever its size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer


class OwnImages:
    max_slice_nums = 9
    use_image_id = True

    def __call__(self, images: Any, **_: Any) -> dict[str, Any]:
        rows = images if images and isinstance(images[0], list) else [images]
        return {
            "pixel_values": [[torch.ones(3, 1, 1) for _ in row] for row in rows],
            "tgt_sizes": [torch.ones(len(row), 2) for row in rows],
            "image_sizes": [[image.size for image in row] for row in rows],
        }

    def get_slice_image_placeholder(self, *_: Any) -> str:
        return "<image><unk></image>"


class OwnProcessor:
    """Loads, saves and registers itself as a ProcessorMixin does."""

    _auto_class = "AutoProcessor"

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer, self.image_processor = tokenizer, OwnImages()

    @classmethod
    def register_for_auto_class(cls) -> None:
        """Nothing to do."""

    @classmethod
    def from_pretrained(cls, folder: str, **_: Any) -> OwnProcessor:
        return cls(AutoTokenizer.from_pretrained(folder, trust_remote_code=True))

    def save_pretrained(self, folder: str, **_: Any) -> None:
        """A file that the base has under another name, as transformers' own processors are saved."""
        declared = {"processor_class": "OwnProcessor", "auto_map": {"AutoProcessor": "elsewhere.OwnProcessor"}}
        (Path(folder) / "processor_config.json").write_text(json.dumps(declared))
