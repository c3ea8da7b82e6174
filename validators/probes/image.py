"""Image headers, by the trainer's own library (Pillow), and a decode only where the header raises doubt."""

from __future__ import annotations

import warnings
from pathlib import Path

from validators.probes.facts import Health, MediaFacts

TAIL_BYTES = 4096
JPEG_END = b"\xff\xd9"
PNG_END = b"IEND"


def probe_image(path: Path) -> MediaFacts:
    """Width and height of an image file, or why Pillow cannot read it.

    The file is decoded only when its end looks cut off: a truncated file opens well and fails at the first pixel
    that is missing (PIL/ImageFile.py: "image file is truncated").
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the trainer goes on after it, too
            with Image.open(path) as image:
                width, height = image.size
                if looks_cut(path, image.format or ""):
                    image.load()
    except UnidentifiedImageError:
        return MediaFacts(Health.UNREADABLE, "no image format that Pillow knows")
    except Image.DecompressionBombError:
        return MediaFacts(Health.UNREADABLE, "more pixels than Pillow opens (decompression bomb)")
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # Pillow's decoders raise all four
        return MediaFacts(Health.UNREADABLE, str(error) or type(error).__name__)
    return MediaFacts(Health.OK, width=width, height=height)


def looks_cut(path: Path, format_name: str) -> bool:
    """Whether the end marker of a JPEG or PNG, or the length that a WebP or BMP states, does not fit the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(max(0, size - TAIL_BYTES))
        tail = file.read(TAIL_BYTES)
    match format_name:
        case "JPEG" | "MPO":
            return JPEG_END not in tail
        case "PNG":
            return PNG_END not in tail
        case "WEBP":
            return int.from_bytes(head[4:8], "little") + 8 > size
        case "BMP":
            return int.from_bytes(head[2:6], "little") > size
        case _:
            return True  # no cheap test for this format: decode
