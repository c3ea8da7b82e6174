"""A processor that slices as MiniCPM-V 4.6's: transformers before 5.7 has no such class.

Written from the published image processor's behaviour (transformers 5.7.0, models/minicpmv4_6) with pixels left out:
sizes, grids and counts alone, as LLaMA-Factory's plugin reads them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.agreement.processors.tokenizers import tiny_tokenizer

TOKENS = ["<|image_pad|>", "<image>", "</image>", "<slice>", "</slice>", "<image_id>", "</image_id>", "<|im_end|>"]
VARIANTS: list[dict[str, Any]] = [
    {},
    {"downsample_mode": "4x", "use_image_id": False},
    {"max_slice_nums": 4, "scale_resolution": 224},
    {"slice_mode": False},
]


@dataclass
class Images:
    """The image processor's settings and its answer for a row's images."""

    max_slice_nums: int = 9
    scale_resolution: int = 448
    patch_size: int = 14
    slice_mode: bool = True
    downsample_mode: str = "16x"
    use_image_id: bool = True

    def __call__(self, images: list[str], return_tensors: str) -> dict[str, Any]:
        """Grids, numbers of pieces, and the patches of each piece down and across."""
        import torch
        from PIL import Image

        grids, numbers, targets = [], [], []
        for path in images:
            with Image.open(path) as image:
                across, down = image.size
            layout = self.layout(across, down) if self.slice_mode else None
            sizes = [self.fit(down, across, layout is None)]
            if layout is not None:
                per_row, per_column = layout
                down_total = max(per_column, round(down / per_column) * per_column)
                across_total = max(per_row, round(across / per_row) * per_row)
                sizes += [self.fit(down_total / per_column, across_total / per_row, True)] * (per_row * per_column)
            grids.append([layout[1], layout[0]] if layout else [0, 0])
            numbers.append(len(sizes))
            targets += [[high // self.patch_size, wide // self.patch_size] for high, wide in sizes]
        return {"grids": grids, "num_patches_per_image": numbers, "target_sizes": torch.tensor(targets)}

    def layout(self, across: int, down: int) -> tuple[int, int] | None:
        """Slices in a row and in a column, the first of the nearest in ratio."""
        wish = min(self.max_slice_nums, math.ceil(across * down / self.scale_resolution**2))
        if wish < 2:
            return None
        totals = [total for total in (wish - 1, wish, wish + 1) if 1 < total <= self.max_slice_nums]
        options = [(n, total // n) for total in totals for n in range(1, total + 1) if total % n == 0]
        ratio = math.log(across / down)
        return min(options, key=lambda option: abs(ratio - math.log(option[0] / option[1])))

    def fit(self, high: float, wide: float, stretch: bool) -> tuple[int, int]:
        """Height and width as multiples of four patches, near the area of scale_resolution squared."""
        if stretch or high * wide > self.scale_resolution**2:
            ratio = wide / high
            high = int(self.scale_resolution / math.sqrt(ratio))
            wide = int(high * ratio)
        unit = 4 * self.patch_size
        return max(unit, unit * round(high / unit)), max(unit, unit * round(wide / unit))


def processor(folder: Path, variant: int = 0) -> Any:
    """The stand-in of one variant; its config is saved in the folder as the model's would be."""
    folder.mkdir(parents=True)
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": VARIANTS[variant]}))
    images = Images(**VARIANTS[variant])
    tokenizer = tiny_tokenizer(TOKENS)
    tokenizer.save_pretrained(folder)

    def videos(paths: list[str], return_tensors: str) -> dict[str, Any]:
        return {"pixel_values_videos": paths, "target_sizes_videos": [[1, 1]] * len(paths)}

    return SimpleNamespace(
        tokenizer=tokenizer,
        image_processor=images,
        video_processor=videos,
        image_token="<|image_pad|>",
        slice_mode=images.slice_mode,
        default_use_image_id=images.use_image_id,
    )
