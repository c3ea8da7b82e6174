"""IMG304: the frame that the trainer reads, as a picture of its own."""

from __future__ import annotations

from pathlib import Path

from curate.media.make.pictures import PNG_MODES, exif_of, opened, suffix_for


def take_first_frame(source: Path, target: Path) -> str:
    """Save the first frame or page without loss, so that it shows what is trained on."""
    with opened(source) as image:
        image.seek(0)
        image.load()
        kind = still_format(image.mode)
        image.save(target, kind, exif=exif_of(image, upright=False), icc_profile=image.info.get("icc_profile"))
    return "its first frame only"


def still_format(mode: str) -> str:
    """The format that holds a mode without loss."""
    return "PNG" if mode in PNG_MODES else "TIFF"


def still_suffix(source: Path) -> str:
    """The ending of the still."""
    try:
        with opened(source) as image:
            return suffix_for(source, still_format(image.mode))
    except Exception:  # it will not be mended either
        return source.suffix
