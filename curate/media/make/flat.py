"""Pictures without transparency, in colours that the trainer reads as they are seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from curate.media.make.pictures import STRIP_PIXELS
from curate.media.make.refusal import CannotMake
from validators.probes.image import OPAQUE_MODES, TOLERANCE, has_alpha

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage


def on_white(image: PillowImage, mode: str) -> PillowImage:
    """The picture as it looks over white, the page of most viewers, in a mode without transparency.

    CannotMake where nothing of it would be seen there, such as white letters.
    """
    from PIL import Image, ImageOps

    image.load()
    flat = Image.new(mode, image.size)
    rows = max(1, STRIP_PIXELS // image.width)
    drawn = seen = False
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(image.height, top + rows))).convert("RGBA")
        page = Image.new("RGBA", strip.size, "white")
        page.alpha_composite(strip)
        flat.paste(page.convert(mode), (0, top))
        drawn = drawn or highest(strip.getchannel("A")) > TOLERANCE
        seen = seen or highest(ImageOps.invert(page.convert("L"))) > TOLERANCE
    if drawn and not seen:
        raise CannotMake("it is drawn in white, and would not be seen on a white page")
    return flat


def in_rgb(image: PillowImage) -> tuple[PillowImage, str]:
    """The picture in RGB, laid on white where it is transparent, and what was done; CannotMake for depths over 8 bits,
    of which the file does not tell which value is white."""
    if has_alpha(image):
        return on_white(image, "RGB"), f"{image.mode} laid on white"
    if image.mode not in OPAQUE_MODES:
        raise CannotMake(f"{image.mode} has more than 8 bits")
    return image.convert("RGB"), f"{image.mode} made RGB"


def highest(band: PillowImage) -> float:
    """The highest value of a band."""
    top = band.getextrema()[1]
    return top if isinstance(top, (int, float)) else 0
