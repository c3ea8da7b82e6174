"""IMG302: a picture with clear pixels, laid on a white page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.fixes.media.pictures import STRIP_PIXELS, format_for, opened, save, still, suffix_for
from curate.fixes.protocol import CannotMend
from validators.probes.image import TOLERANCE

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage


def flatten_on_white(source: Path, target: Path) -> str:
    """Show the picture as it looks over white, the page of most viewers, without transparency.

    CannotMend where nothing of it would be seen there, such as white letters.
    """
    from PIL import Image, ImageOps

    with still(source) as image:
        image.load()
        mode = opaque_mode(image.mode)
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
            raise CannotMend("it is drawn in white, and would not be seen on a white page")
        save(flat, image, target)
    return "laid on white"


def highest(band: PillowImage) -> float:
    """The highest value of a band."""
    top = band.getextrema()[1]
    return top if isinstance(top, (int, float)) else 0


def opaque_mode(mode: str) -> str:
    """The mode of the flat picture."""
    return "L" if mode in ("LA", "L", "1") else "RGB"


def flat_suffix(source: Path) -> str:
    """The ending of a flat copy."""
    try:
        with opened(source) as image:
            return suffix_for(source, format_for(image, opaque_mode(image.mode)))
    except Exception:  # it will not be mended either
        return source.suffix
