"""Images in slices of about 448 * 448 pixels and patches of 14, as MiniCPM-V 2.6 to 4.5 take them."""

import math
from itertools import chain
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature

Size = tuple[int, int]


def divisible(length: float, unit: int) -> int:
    """The multiple of `unit` that is nearest to a length, at least one."""
    return max(round(length / unit) * unit, unit)


class MiniCPMImageProcessor(BaseImageProcessor):
    """Slices, their sizes in patches, and the text that stands for them."""

    model_input_names = ["pixel_values"]

    def __init__(
        self,
        max_slice_nums: int = 9,
        scale_resolution: int = 448,
        patch_size: int = 14,
        image_feature_size: int = 64,
        use_image_id: bool = True,
        slice_mode: bool = True,
        version: float = 2.6,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_slice_nums, self.scale_resolution, self.patch_size = max_slice_nums, scale_resolution, patch_size
        self.image_feature_size, self.use_image_id = image_feature_size, use_image_id
        self.slice_mode, self.version = slice_mode, version

    def get_sliced_grid(self, image_size: Size, max_slice_nums: int) -> tuple[int, int] | None:
        """Columns and rows of slices nearest to the image's shape; None for an image that one slice holds."""
        width, height = image_size
        wanted = min(math.ceil(width * height / self.scale_resolution**2), max_slice_nums)
        if wanted <= 1:
            return None
        counts = [n for n in (wanted - 1, wanted, wanted + 1) if 1 < n <= max_slice_nums]
        grids = [(columns, n // columns) for n in counts for columns in range(1, n + 1) if n % columns == 0]
        shape = math.log(width / height)
        return min(grids, key=lambda grid: abs(shape - math.log(grid[0] / grid[1])))

    def fitted(self, size: tuple[float, float], upscale: bool) -> Size:
        """A size of whole patches with about the area of one slice; a smaller image is enlarged where asked."""
        width, height = size
        if upscale or width * height > self.scale_resolution**2:
            ratio = width / height
            height = int(self.scale_resolution / math.sqrt(ratio))
            width = int(height * ratio)
        return divisible(width, self.patch_size), divisible(height, self.patch_size)

    def slices(self, image: Image.Image, max_slice_nums: int) -> list[Image.Image]:
        """The whole image, made small, and then its slices row by row."""
        grid = self.get_sliced_grid(image.size, max_slice_nums) if self.slice_mode else None
        overview = image.resize(self.fitted(image.size, upscale=grid is None), Image.Resampling.BICUBIC)
        if grid is None:
            return [overview]
        columns, rows = grid
        cell = (divisible(image.width, columns) / columns, divisible(image.height, rows) / rows)
        width, height = self.fitted(cell, upscale=True)
        refined = image.resize((width * columns, height * rows), Image.Resampling.BICUBIC)
        boxes = [
            (x * width, y * height, (x + 1) * width, (y + 1) * height) for y in range(rows) for x in range(columns)
        ]
        return [overview, *(refined.crop(box) for box in boxes)]

    def packed(self, image: Image.Image) -> torch.Tensor:
        """A slice's patches side by side: 3 x patch x (patches * patch), from -1 to 1."""
        pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)
        unit = self.patch_size
        rows = pixels.unfold(1, unit, unit).unfold(2, unit, unit)  # 3, rows, columns, unit, unit
        return rows.permute(0, 3, 1, 2, 4).reshape(3, unit, -1).contiguous()

    def get_slice_image_placeholder(
        self, image_size: Size, image_idx: int = 0, max_slice_nums: int | None = None, use_image_id: bool | None = None
    ) -> str:
        """The text of one image: its id, the overview's places, and each slice's, a line for each row of slices."""
        places = "<unk>" * self.image_feature_size
        named = self.use_image_id if use_image_id is None else use_image_id
        text = (f"<image_id>{image_idx}</image_id>" if named else "") + f"<image>{places}</image>"
        grid = self.get_sliced_grid(image_size, max_slice_nums or self.max_slice_nums) if self.slice_mode else None
        if grid is None:
            return text
        columns, rows = grid
        return text + "\n".join([f"<slice>{places}</slice>" * columns] * rows)

    def preprocess(
        self,
        images: Any,
        do_pad: bool = True,
        max_slice_nums: int | None = None,
        temporal_ids: Any = None,
        return_tensors: Any = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Lists for each sample of the batch: slices, image sizes, sizes in patches, temporal ids, frames of no text.

        `temporal_ids`, a list of packs for each sample, lays frames into packs: the resampler makes one block of a
        pack, slice by slice, so that only the first frame of each has a place in the text.
        """
        if isinstance(images, Image.Image):
            images = [[images]]
        elif images and isinstance(images[0], Image.Image):
            images = [images]
        if temporal_ids and temporal_ids[0] and not isinstance(temporal_ids[0][0], list):
            temporal_ids = [temporal_ids]
        made: dict[str, list[Any]] = {
            key: [] for key in ("pixel_values", "image_sizes", "tgt_sizes", "temporal_ids", "skip_image_idx")
        }
        for number, sample in enumerate(images):
            if sample and sample[0].height in (1, 3):  # the published processor infers that these are channels
                raise ValueError(f"images of a row whose first is {sample[0].height} pixels high")
            packs = [[-1] for _ in sample] if temporal_ids is None else temporal_ids[number]
            if len(list(chain(*packs))) != len(sample):
                raise ValueError(f"{len(sample)} frames and {len(list(chain(*packs)))} temporal ids")
            pixels: list[torch.Tensor] = []
            targets: list[Size] = []
            ids: list[list[int]] = []
            skipped: list[int] = []
            at = 0
            for pack in packs:
                frames = [
                    self.slices(image.convert("RGB"), max_slice_nums or self.max_slice_nums)
                    for image in sample[at : at + len(pack)]
                ]
                for group in zip(*frames, strict=True):
                    pixels += [self.packed(cut) for cut in group]
                    targets += [(cut.height // self.patch_size, cut.width // self.patch_size) for cut in group]
                    ids.append(list(pack))
                skipped += range(at + 1, at + len(pack))
                at += len(pack)
            made["pixel_values"].append(pixels)
            made["image_sizes"].append([image.size for image in sample])
            made["tgt_sizes"].append(torch.tensor(targets, dtype=torch.int32).reshape(-1, 2) if targets else [])
            made["temporal_ids"].append(ids)
            made["skip_image_idx"].append(skipped)
        return BatchFeature(made)


AutoImageProcessor.register("MiniCPMImageProcessor", MiniCPMImageProcessor)
