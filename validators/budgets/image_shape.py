"""The size in which an image leaves a resize-and-crop image processor (CLIP, SigLIP, LLaVA).

Source: transformers 5.6.0, image_processing_backends.py (TorchvisionBackend: _preprocess, resize, center_crop), of
4.57.1 image_processing_utils_fast.py (BaseImageProcessorFast), and of both image_transforms.py
(get_resize_output_image_size, get_size_with_aspect_ratio) and the class attributes of
models/{clip,siglip,llava,video_llava}/image_processing_*.py. The PIL backend gives the same sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from validators.budgets.config_values import Config, flag, sides, text
from validators.budgets.family import Crash, Why
from validators.budgets.resize import Size

CLIP: Config = {
    "size": {"shortest_edge": 224},
    "crop_size": {"height": 224, "width": 224},
    "do_resize": True,
    "do_center_crop": True,
}
SIGLIP: Config = {"size": {"height": 224, "width": 224}, "do_resize": True}
CLIP_TYPE: Config = {"image_processor_type": "CLIPImageProcessor"}
"""For what has CLIP's defaults under another name: the video processors of Video-LLaVA and LLaVA-NeXT-Video."""
DEFAULTS: Mapping[str, Config] = {
    "CLIPImageProcessor": CLIP,
    "LlavaImageProcessor": CLIP,
    "VideoLlavaImageProcessor": CLIP,
    "SiglipImageProcessor": SIGLIP,
}


@dataclass(frozen=True, slots=True)
class ImageShape:
    """Settings that decide the output size; edges in pixels, None where not set."""

    resize: bool = True
    height: int | None = None
    width: int | None = None
    shortest: int | None = None
    longest: int | None = None
    cropped: bool = False
    crop: Size | None = None
    """The size that every image is cropped or padded to, where it is cropped."""
    squared: bool = False
    """Whether images are padded to a square first (LLaVA's do_pad)."""

    def output(self, size: Size) -> Size:
        """Size of the pixels for an image of that size; raises Crash where the settings give none."""
        if self.squared:
            size = Size(max(size.width, size.height), max(size.width, size.height))
        if self.resize:
            size = self.resized(size)
        if not self.cropped:
            return size
        if self.crop is None:
            raise Crash("`crop_size` must be specified if `do_center_crop` is True.")
        return self.crop

    def resized(self, size: Size) -> Size:
        """The resize alone, by the edges that are set."""
        if self.shortest and self.longest:
            fitted = bounded(size, self.shortest, self.longest)
            if min(fitted.width, fitted.height) == 0:
                raise Crash(f"{size.width}x{size.height}: input and output sizes should be greater than 0", Why.SIZE)
            return fitted
        if self.shortest:
            short, long = sorted((size.width, size.height))
            stretched = int(self.shortest * long / short)
            return Size(self.shortest, stretched) if size.width <= size.height else Size(stretched, self.shortest)
        if self.height and self.width:
            return Size(self.width, self.height)
        raise Crash("the image processor's `size` has neither height and width nor shortest_edge")


def bounded(size: Size, shortest: int, longest: int) -> Size:
    """Shortest edge to `shortest` unless the longest would pass `longest` (get_size_with_aspect_ratio)."""
    width, height = size.width, size.height
    low, high = float(min(width, height)), float(max(width, height))
    edge: float = shortest
    if high / low * shortest > longest:
        edge = longest * low / high
        shortest = round(edge)
    if (height <= width and height == shortest) or (width <= height and width == shortest):
        return size
    if width < height:
        return Size(shortest, int(edge * height / width))
    return Size(int(edge * width / height), shortest)


def shape_of(config: Config) -> ImageShape:
    """An image processor's config over the defaults of the class that it names."""
    kind = text(config, "image_processor_type", "").removesuffix("Fast").removesuffix("Pil")
    values = {**DEFAULTS.get(kind, {}), **{key: value for key, value in config.items() if value is not None}}
    size, crop = sides(values.get("size"), False), sides(values.get("crop_size"), True)
    return ImageShape(
        resize=flag(values, "do_resize", False),
        height=size.get("height"),
        width=size.get("width"),
        shortest=size.get("shortest_edge"),
        longest=size.get("longest_edge"),
        cropped=flag(values, "do_center_crop", False),
        crop=Size(crop["width"], crop["height"]) if "height" in crop and "width" in crop else None,
        squared=kind == "LlavaImageProcessor" and flag(values, "do_pad", False),
    )
