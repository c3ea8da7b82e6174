"""Thumbnails, as the trainer reads a picture: without its EXIF turn, in RGB."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, BinaryIO

from validators.model import MediaKind
from validators.report.shown import Preview

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

SIDE = 128
QUALITY = 72
MOST_PIXELS = 1 << 25  # decoded at full size; a JPEG is decoded at an eighth where that is enough
MOST_JPEG_PIXELS = 1 << 28
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO", "AVIF", "PPM", "TGA", "ICO", "JPEG2000")


class NoPreview(Exception):
    """Says in words why a medium has none."""


def preview_image(file: BinaryIO) -> Preview:
    """A thumbnail of the first frame; raises NoPreview, or what Pillow's decoders raise."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Image.init()
        with Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN]) as image:
            most = MOST_JPEG_PIXELS if image.format in ("JPEG", "MPO") else MOST_PIXELS
            if image.width * image.height > most:
                raise NoPreview(f"{image.width} × {image.height} pixels are too many to show")
            image.draft("RGB", (SIDE, SIDE))
            if image.width * image.height > MOST_PIXELS:
                raise NoPreview(f"{image.width} × {image.height} pixels are too many to show")
            return thumbnail(image, MediaKind.IMAGE)


def thumbnail(image: PillowImage, kind: MediaKind) -> Preview:
    """At most SIDE pixels a side, as WebP, or as JPEG where this Pillow has no WebP."""
    from PIL import Image, features

    image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    small = image.convert("RGB")
    word = "WEBP" if features.check("webp") else "JPEG"
    packed = io.BytesIO()
    small.save(packed, word, quality=QUALITY)
    return Preview(kind, packed.getvalue(), f"image/{word.lower()}", small.width, small.height)
