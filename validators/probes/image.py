"""Image headers, by the trainer's own library (Pillow), and a decode only where the header raises doubt."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from validators.probes.colour import colour_traits
from validators.probes.facts import Alteration, Health, MediaFacts, as_traits
from validators.probes.reading import read_at

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage
    from PIL.ImageFile import ImageFile

TAIL_BYTES = 4096
JPEG_END = b"\xff\xd9"
PNG_END = b"IEND"
PNG_NOTES = (b"eXIf", b"iTXt", b"zTXt", b"tEXt")  # where a PNG keeps its orientation; allowed after the pixels
MAX_CHUNKS = 8192
SHELLED = "EPS"  # Pillow would run Ghostscript to read it
ORIENTATION = 0x0112
PAGE_KIND, REDUCED_OR_MASK = 254, 0b101  # TIFF 6.0, NewSubfileType: a smaller copy, a transparency mask
# Formats whose later frames a viewer shows. MPO, ICO, ICNS, PSD keep several pictures and show one, as the trainer.
PLAYED = frozenset({"GIF", "WEBP", "PNG", "AVIF", "FLI"})
PAGED = frozenset({"TIFF", "DCX"})
MAX_PAGES = 64
OPAQUE_MODES = frozenset({"RGB", "L", "1", "P", "CMYK", "YCbCr", "HSV", "LAB", "RGBX"})
ALPHA_MODES = frozenset({"RGBA", "LA", "PA", "RGBa"})
PREMULTIPLIED = frozenset({"RGBA", "LA"})  # PIL/Image.py: resize multiplies these by alpha, and divides after
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # ISO/IEC 23008-12: brands
FOREIGN = ", which Pillow does not read"
MARKS = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"%PDF", "PDF"),
)
TOLERANCE = 8  # of 255: less is no difference that a person sees
STRIP_PIXELS = 1 << 16


def probe_image(path: Path) -> MediaFacts:
    """Width and height of an image file and what the trainer alters in it, or why Pillow cannot read it.

    The file is decoded only where the header leaves a doubt: it has transparency or more than 8 bits, its end looks
    cut off (a truncated file opens well and fails at the first pixel that is missing: PIL/ImageFile.py, "image file
    is truncated"), or nothing cheap tells.
    """
    return opened(path, facts_of)


def opened(path: Path, look: Callable[[ImageFile, int], MediaFacts]) -> MediaFacts:
    """What `look` finds in the image, or why Pillow cannot read it."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the trainer goes on after Pillow's warnings, too
            with path.open("rb") as file, Image.open(file) as image:
                return look(image, file.fileno())
    except UnidentifiedImageError:
        return MediaFacts(Health.UNREADABLE, stranger(path) or "no image format that Pillow knows")
    except Image.DecompressionBombError:
        return MediaFacts(Health.BOMB, f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels")
    except MemoryError:
        return MediaFacts(Health.UNREADABLE, "not enough memory to decode it")
    except Exception as error:  # Pillow's decoders raise what they like, and each stops the trainer
        return MediaFacts(Health.UNREADABLE, str(error) or type(error).__name__)


def stranger(path: Path) -> str:
    """Which format a file has that Pillow does not open, "" where its start tells nothing."""
    with path.open("rb", buffering=0) as file:
        start = read_at(file.fileno(), 16, 0)
    if start[4:8] == b"ftyp":
        return f"HEIC{FOREIGN}" if start[8:12] in HEIC else "a video or another MP4, no image"
    return next((f"{name}{FOREIGN}" for mark, name in MARKS if start.startswith(mark)), "")


def facts_of(image: ImageFile, handle: int) -> MediaFacts:
    """The facts of an open image; `handle` is its file's descriptor. Raises what Pillow's decoder raises."""
    name = image.format or ""
    if name == SHELLED:
        return postscript(image)
    several = has_later_frames(image, name)
    doubtful = needs_decode(image, name, handle)
    if doubtful:
        image.load()
    reasons = [Alteration.ROTATED] if is_turned(image) else []
    if image.mode not in OPAQUE_MODES and image.mode not in ALPHA_MODES:
        image.load()
        image.convert("RGB")  # some modes have no way to RGB: that ValueError stops the trainer
        if is_clipped(image):
            reasons.append(Alteration.DEPTH)
    elif has_alpha(image):
        reasons += hidden_by_alpha(image)
    if several:
        reasons.append(Alteration.FIRST_FRAME)
    width, height = image.size
    traits = as_traits(colour_traits(image))
    return MediaFacts(Health.OK, width=width, height=height, altered=",".join(reasons), traits=traits, form=name)


def postscript(image: ImageFile) -> MediaFacts:
    """An EPS's facts, from its bounding box: reading it needs a program that is not run on strangers' files."""
    if which("gs") is None:
        return MediaFacts(Health.UNREADABLE, "EPS, and no Ghostscript that would read it")
    return MediaFacts(Health.OK, width=image.width, height=image.height, form=SHELLED)


def needs_decode(image: ImageFile, name: str, handle: int) -> bool:
    """Whether the header and the end of the file leave open if, and as what, the pixels can be read."""
    size = os.fstat(handle).st_size
    match name:
        case "JPEG" | "MPO":
            start = max(image.fp.tell() if image.fp else 0, size - TAIL_BYTES)  # an end marker inside EXIF is none
            return JPEG_END not in read_at(handle, TAIL_BYTES, start)
        case "PNG":
            return not is_whole_png(handle, size)
        case "WEBP":
            return int.from_bytes(read_at(handle, 4, 4), "little") + 8 > size
        case _:
            return True  # no cheap test for this format


def is_whole_png(handle: int, size: int) -> bool:
    """Whether a PNG's chunks run to its end marker, and none after the pixels could hold an orientation."""
    tail = read_at(handle, TAIL_BYTES, max(0, size - TAIL_BYTES))
    last = tail.rfind(b"IDAT")
    if last >= 4:  # the usual case: the last pixels lie in the tail, and the end marker follows at once
        after = last + 8 + int.from_bytes(tail[last - 4 : last], "big")
        if tail[after + 4 : after + 8] == PNG_END and after + 12 <= len(tail):
            return True
    pixels = False
    for kind in png_chunks(handle, size):
        if kind == PNG_END:
            return pixels
        if pixels and kind in PNG_NOTES:
            return False
        pixels = pixels or kind == b"IDAT"
    return False


def png_chunks(handle: int, size: int) -> Iterator[bytes]:
    """The types of a PNG's chunks that lie whole inside the file, MAX_CHUNKS at most."""
    at = 8
    for _ in range(MAX_CHUNKS):
        head = read_at(handle, 8, at)
        at += 12 + int.from_bytes(head[:4], "big")
        if len(head) < 8 or at > size:
            return
        yield head[4:]


def has_later_frames(image: ImageFile, name: str) -> bool:
    """Whether a viewer shows more than the first frame or page. Seeking leaves the image at its first."""
    if name not in PLAYED and name not in PAGED:
        return False
    try:
        if not getattr(image, "is_animated", False):
            return False
        if name in PLAYED:
            return True
        return any(is_page(image, number) for number in range(1, min(image.n_frames, MAX_PAGES)))  # type: ignore[attr-defined]
    except Exception:  # a broken second frame does not stop the trainer
        return False
    finally:
        image.seek(0)


def is_page(image: ImageFile, number: int) -> bool:
    """Whether this frame is a page of its own: no smaller copy of one, as pyramids hold."""
    image.seek(number)
    tags = getattr(image, "tag_v2", {})
    return not int(tags.get(PAGE_KIND, 0)) & REDUCED_OR_MASK


def is_turned(image: PillowImage) -> bool:
    """Whether EXIF or XMP tells viewers to turn or mirror the picture; Pillow does it by itself for TIFF only."""
    if not any("exif" in str(key).lower() or "xmp" in str(key).lower() for key in image.info):
        return False
    try:
        return image.getexif().get(ORIENTATION, 1) in range(2, 9)
    except Exception:  # broken EXIF: viewers ignore it, and the trainer never looks
        return False


def has_alpha(image: PillowImage) -> bool:
    """Whether the header says that pixels can be transparent."""
    return image.mode in ALPHA_MODES or "transparency" in image.info


def hidden_by_alpha(image: PillowImage) -> list[Alteration]:
    """What dropping the transparency shows that a viewer, over a white page, does not.

    The picture is compared strip by strip, so that memory grows by little over the decoded image.
    """
    from PIL import Image, ImageChops

    image.load()
    if image.mode in ALPHA_MODES and is_opaque(image):
        return []
    rows = max(1, STRIP_PIXELS // image.width)
    clear = False
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(image.height, top + rows)))
        shown = strip.convert("RGBA")
        if is_opaque(shown):
            continue
        page = Image.new("RGBA", shown.size, "white")
        page.alpha_composite(shown)
        difference = ImageChops.difference(page.convert("RGB"), strip.convert("RGB"))
        if any(isinstance(high, int) and high > TOLERANCE for _, high in as_pairs(difference.getextrema())):
            return [Alteration.ALPHA]
        clear = True
    return [Alteration.ALPHA_RESIZED] if clear and image.mode in PREMULTIPLIED else []


def is_opaque(image: PillowImage) -> bool:
    """Whether no pixel of a picture with an alpha band is seen through."""
    lowest = image.getchannel(image.getbands()[-1]).getextrema()[0]
    return isinstance(lowest, (int, float)) and lowest >= 255 - TOLERANCE


def as_pairs(extrema: object) -> list[tuple[object, object]]:
    """Pillow's extrema of a picture with several bands: a pair for each."""
    return list(extrema) if isinstance(extrema, tuple) else []


def is_clipped(image: ImageFile) -> bool:
    """Whether convert("RGB") clips what a viewer would scale (Pillow's C converters: values over 255 become 255).

    A viewer shows 16 bits at a 257th and floats from 0 to 1; convert cuts both to whole numbers up to 255.
    """
    import numpy as np

    scaled = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    rows = max(1, STRIP_PIXELS // image.width)
    low, high, apart = 0.0, 0.0, False
    for top in range(0, image.height, rows):
        values = np.asarray(image.crop((0, top, image.width, min(image.height, top + rows)))).astype(np.float64)
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        apart = apart or bool((np.clip(values, 0, 255) - values / 257 > TOLERANCE).any())
    if scaled:
        return apart
    return low < 0 or high > 255 or (image.mode == "F" and 0 < high <= 1)
