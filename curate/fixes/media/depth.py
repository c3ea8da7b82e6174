"""IMG303: values of more than 8 bits scaled to 8."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.fixes.protocol import CannotMend
from curate.media.make.pictures import STRIP_PIXELS, exif_of, still

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.ImageFile import ImageFile

SENSOR_BITS = (10, 12, 14, 16)
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0  # TIFF 6.0


def scale_to_8_bits(source: Path, target: Path) -> str:
    """Scale a grey picture linearly to 0–255, and save it as PNG.

    Which value is to be white, the file does not tell. Whole numbers are scaled by the full range of the smallest
    usual depth that holds them, so that pictures of one device are scaled alike and 12 bits in 16 do not come out
    black; floats up to 1 by 255, as viewers do; anything else by its own lowest and highest value.
    """
    import numpy as np
    from PIL import Image

    with still(source) as image:
        image.load()
        low, high = window(image)
        inverted = image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO  # type: ignore[attr-defined]
        grey = np.empty((image.height, image.width), np.uint8)
        for top, values in strips(image):
            share = np.clip(np.nan_to_num((values - low) / (high - low), nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
            grey[top : top + len(values)] = np.rint((1 - share if inverted else share) * 255)
        kept: dict[str, Any] = {"exif": exif_of(image, upright=False)}
        Image.fromarray(grey).save(target, "PNG", **kept)
    return f"{low:g} to {high:g} scaled to 8 bits"


def window(image: ImageFile) -> tuple[float, float]:
    """The values that become black and white."""
    import numpy as np

    low, high = float("inf"), float("-inf")
    for _, values in strips(image):
        known = values[np.isfinite(values)]
        if known.size:
            low, high = min(low, float(known.min())), max(high, float(known.max()))
    if low >= 0 and image.mode == "F" and high <= 1:
        return 0.0, 1.0
    if low >= 0 and image.mode != "F":
        for bits in SENSOR_BITS:
            if high < 1 << bits:
                return 0.0, float((1 << bits) - 1)
    if not low < high:
        raise CannotMend("all of its values are the same, and out of the range of 8 bits")
    return low, high


def strips(image: ImageFile) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Some rows of the picture at a time, with the number of the first."""
    import numpy as np

    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(image.height, top + rows)))
        yield top, np.asarray(strip).astype(np.float64)
