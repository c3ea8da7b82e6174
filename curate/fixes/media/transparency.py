"""IMG302: a picture with clear pixels, laid on a white page."""

from __future__ import annotations

from pathlib import Path

from curate.media.make.flat import on_white
from curate.media.make.pictures import format_for, opened, save, still, suffix_for


def flatten_on_white(source: Path, target: Path) -> str:
    """Show the picture as it looks over white, without transparency; CannotMake where nothing of it would be seen."""
    with still(source) as image:
        save(on_white(image, opaque_mode(image.mode)), image, target)
    return "laid on white"


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
