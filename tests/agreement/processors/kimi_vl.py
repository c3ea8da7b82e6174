"""A processor that cuts patches as Kimi-VL's, whose own is remote code: real pixels, by the published steps."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.agreement.processors.tokenizers import tiny_tokenizer

VARIANTS: list[dict[str, Any]] = [
    {"pad_input": True},
    {"in_token_limit": 100, "pad_input": True, "merge_kernel_size": [1, 3]},
    {"in_token_limit": 200, "patch_size": 6},
    {"pad_input": True, "patch_size": 2, "in_token_limit": 400_000},
]


@dataclass
class Images:
    """The image processor's settings and its answer for a row's images."""

    patch_size: int = 14
    pad_input: bool = False
    in_token_limit: int = 4096
    merge_kernel_size: list[int] = field(default_factory=lambda: [2, 2])

    def __call__(self, images: list[Any], return_tensors: str) -> dict[str, Any]:
        """Patches down and across of each image."""
        import torch

        return {"image_grid_hws": torch.tensor([self.grid(image) for image in images])}

    def grid(self, image: Any) -> list[int]:
        """Shrink to the limit of patches, pad or crop to whole ones, and count them."""
        from torchvision.transforms import functional

        side = self.patch_size
        found = (image.width // side) * (image.height // side)
        if found > self.in_token_limit:
            ratio = math.sqrt(self.in_token_limit / found)
            image = image.resize((int(image.width * ratio), int(image.height * ratio)))
        if self.pad_input:
            missing = [
                -image.width % (side * self.merge_kernel_size[1]),
                -image.height % (side * self.merge_kernel_size[0]),
            ]
            image = functional.pad(image, [0, 0, *missing])
        grid = [image.height // side, image.width // side]
        if max(grid) >= 512:
            raise ValueError("Exceed pos emb")
        return grid


def processor(folder: Path, variant: int = 0) -> Any:
    """The stand-in of one variant; its config is saved in the folder as the model's would be."""
    folder.mkdir(parents=True)
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": VARIANTS[variant]}))
    tokenizer = tiny_tokenizer(["<|media_start|>", "<|media_content|>", "<|media_pad|>", "<|media_end|>"])
    tokenizer.save_pretrained(folder)
    return SimpleNamespace(image_processor=Images(**VARIANTS[variant]), tokenizer=tokenizer)
