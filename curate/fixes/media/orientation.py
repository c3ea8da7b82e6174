"""IMG301: the turn that viewers make is put into the pixels."""

from __future__ import annotations

from pathlib import Path

from curate.media.make.pictures import save, still
from curate.media.make.turn import upright

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
    with still(source) as image:
        turned, orientation = upright(image)
        save(turned, image, target, baked=orientation)
    return MIRRORED_OR_TURNED[orientation]
