"""Images from end to end: whether all pixels can be decoded, and whether they show anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from validators.probes.facts import MediaFacts, Trait, with_traits
from validators.probes.image import SHELLED, STRIP_PIXELS, opened

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage
    from PIL.ImageFile import ImageFile

MAX_PIXELS = 1 << 27  # decoded at most: 400 MB of RGB
FLAT = 2  # of 255: a colour that compression has ruffled
NO_DATA = 128  # what libjpeg puts where coefficients are missing (jdhuff.c: zeroed blocks, whose mean is grey)
ROWS = 16  # fewer rows of that grey can be a picture's own frame


def examine_image(path: Path, facts: MediaFacts) -> MediaFacts:
    """The facts after decoding; those of Pillow's error where it refuses."""
    if facts.width * facts.height > MAX_PIXELS:
        return with_traits(facts, {Trait.PARTLY: 0})
    if facts.form == SHELLED:
        return facts

    def look(image: ImageFile, _: int) -> MediaFacts:
        image.load()
        return with_traits(facts, pixel_traits(image))

    found = opened(path, look)
    return found if found.width else replace(found, width=facts.width, height=facts.height)


def pixel_traits(image: ImageFile) -> dict[Trait, float | None]:
    """What the pixels show."""
    if image.mode not in ("RGB", "L"):
        return {Trait.BLANK: None} if is_flat(image.convert("RGB")) else {}
    if is_flat(image):
        return {Trait.BLANK: None}
    if image.format in ("JPEG", "MPO"):
        rows = grey_rows(image)
        if rows >= ROWS:
            return {Trait.GREY_TAIL: rows / image.height}
    return {}


def is_flat(image: PillowImage) -> bool:
    """Whether the whole picture has one colour."""
    for band in image.split():
        low, high = band.getextrema()
        if not (isinstance(low, int) and isinstance(high, int) and high - low <= FLAT):
            return False
    return True


def grey_rows(image: PillowImage) -> int:
    """Rows from the bottom up that are nothing but the grey of missing data."""
    import numpy as np

    step = max(1, STRIP_PIXELS // image.width)
    bottom = image.height
    while bottom > 0:
        top = max(0, bottom - step)
        strip = np.asarray(image.crop((0, top, image.width, bottom)))
        plain = (strip.reshape(bottom - top, -1) == NO_DATA).all(axis=1)
        if not plain.all():
            return image.height - bottom + int(plain[::-1].argmin())
        bottom = top
    return image.height
