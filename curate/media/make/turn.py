"""The turn that viewers make, put into a picture's pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from validators.probes.image import ORIENTATION

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage


def upright(image: PillowImage) -> tuple[PillowImage, int]:
    """The pixels turned and mirrored as EXIF or XMP says (1 to 8, Exif 2.3: Orientation), and what it said; the
    picture's own tag stays."""
    from PIL import Image

    methods = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    image.load()
    orientation = image.getexif()[ORIENTATION]
    return image.transpose(methods[orientation]), orientation
