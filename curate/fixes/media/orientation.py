"""IMG301: the turn that viewers make is put into the pixels."""

from __future__ import annotations

from pathlib import Path

from curate.fixes.media.pictures import save, still
from validators.probes.image import ORIENTATION

MIRRORED_OR_TURNED = {
    2: "mirrored",
    3: "turned by 180°",
    4: "mirrored upside down",
    5: "mirrored and turned by 90° to the left",
    6: "turned by 90° to the right",
    7: "mirrored and turned by 90° to the right",
    8: "turned by 90° to the left",
}


def bake_orientation(source: Path, target: Path) -> str:
    """Turn and mirror the pixels as EXIF or XMP says, and drop the tag; the colours stay as the trainer reads them."""
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
    with still(source) as image:
        image.load()
        orientation = image.getexif()[ORIENTATION]
        turned = image.transpose(methods[orientation])
        save(turned, image, target, baked=orientation)
    return MIRRORED_OR_TURNED[orientation]
