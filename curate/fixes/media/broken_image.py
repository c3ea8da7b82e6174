"""IMG101: what can still be decoded of a picture that is cut off or damaged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.fixes.media.proving import MOST
from curate.fixes.protocol import CannotMend
from curate.media.make.pictures import STRIP_PIXELS, opened, save
from validators.probes.image import has_later_frames

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

DARK, LIGHT = 0, 255


def save_what_decodes(source: Path, target: Path) -> str:
    """Save the decoded part at the picture's size, the rest blank, if hardly anything is missing.

    The picture is decoded over a dark and over a light ground: pixels that come out alike were really in the file.
    Pillow's LOAD_TRUNCATED_IMAGES is left alone: it holds for the whole process, and makes up pixels without saying
    which.
    """
    on_dark = decoded_on(source, DARK)
    share = alike(on_dark, decoded_on(source, LIGHT))
    if share < MOST:
        raise CannotMend(f"only {share:.0%} of the picture can be decoded")
    with opened(source) as image:
        if has_later_frames(image, image.format or ""):
            raise CannotMend("it is damaged and has several frames or pages")
        save(on_dark, image, target)
    return "saved anew, whole" if share == 1 else f"saved anew, with {share:.1%} of its pixels and the rest blank"


def decoded_on(source: Path, shade: int) -> PillowImage:
    """The picture as far as the decoder comes, over a ground of one value."""
    with opened(source) as image:
        prepare = image.load_prepare

        def prepare_ground() -> None:
            prepare()
            if getattr(image, "map", None) is None:  # else the pixels are there already, in memory that is not ours
                image.im.paste(shade if image.im.bands == 1 else (shade,) * image.im.bands, (0, 0, *image.size))

        image.load_prepare = prepare_ground  # type: ignore[method-assign]  # GIF's own does not bear a second call
        try:
            image.load()
        except Exception:  # the fault that is to be mended
            image.tile = []
        return image


def alike(one: PillowImage, other: PillowImage) -> float:
    """The share of equal pixels."""
    import numpy as np

    if one.size != other.size or one.mode != other.mode:
        return 0.0
    rows = max(1, STRIP_PIXELS // one.width)
    equal = 0
    for top in range(0, one.height, rows):
        box = (0, top, one.width, min(one.height, top + rows))
        same = np.asarray(one.crop(box)) == np.asarray(other.crop(box))
        equal += int(same.reshape(*same.shape[:2], -1).all(axis=2).sum())
    return equal / (one.width * one.height)
