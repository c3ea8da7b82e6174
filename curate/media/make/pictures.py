"""Opening a picture with its size bounded, and saving a changed one as its source was saved."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.media.make.refusal import CannotMake
from validators.probes.image import ORIENTATION, SHELLED, has_later_frames

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage
    from PIL.ImageFile import ImageFile

MAX_PIXELS = 1 << 27  # 134 million; with its copy about 1 GiB of memory
STRIP_PIXELS = 1 << 20
SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}
KEPT_FORMATS = {"JPEG": "JPEG", "MPO": "JPEG", "PNG": "PNG", "WEBP": "WEBP"}
JPEG_MODES = frozenset({"L", "RGB", "CMYK"})
PNG_MODES = frozenset({"1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"})
WEBP_MODES = frozenset({"RGB", "RGBA"})
MODES = {"JPEG": JPEG_MODES, "PNG": PNG_MODES, "WEBP": WEBP_MODES}
TURNED, FROM_THE_RIGHT, FROM_BELOW = (5, 6, 7, 8), (2, 3, 7, 8), (3, 4, 6, 7)
"""EXIF orientations that swap the sides, and those that read the rows or the columns of pixels from their end."""
MAX_EXIF = 65533  # what a JPEG's segment holds
RGB_IDS = [ord(letter) for letter in "RGB"]
NO_CHROMA_LOST, KNOWN_SAMPLINGS = 0, (0, 2)
JPEG_QUALITY = 95  # of pixels that no JPEG gave
WEBP_QUALITY = 95  # a lossy WebP does not tell the quality that it was made with


@contextmanager
def opened(source: Path) -> Iterator[ImageFile]:
    """The picture, not yet decoded; CannotMake where it is too large, or an outside program would have to read it."""
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            picture = Image.open(source)
        except UnidentifiedImageError as error:
            raise CannotMake("no image format that Pillow knows") from error
        with picture as image:
            if image.format == SHELLED:
                raise CannotMake("an EPS, which is a program")
            if image.width * image.height > MAX_PIXELS:
                raise CannotMake(f"more than {MAX_PIXELS} pixels")
            yield image


@contextmanager
def still(source: Path) -> Iterator[ImageFile]:
    """As `opened`, for changes that would lose later frames or pages: CannotMake where there are any."""
    with opened(source) as image:
        see_single(image)
        yield image


def see_single(image: ImageFile) -> None:
    """CannotMake where there are frames or pages that would be lost."""
    if has_later_frames(image, image.format or ""):
        raise CannotMake("several frames or pages, of which only the first would be left")


def exif_of(image: PillowImage, upright: bool) -> bytes:
    """The picture's EXIF, without its orientation where the pixels are `upright`; none where it is broken."""
    if image.format == "TIFF":  # its tags tell of the file, and Pillow has turned the pixels
        return b""
    try:
        exif = image.getexif()
        if upright and ORIENTATION in exif:
            del exif[ORIENTATION]
        content = exif.tobytes() if len(exif) else b""
    except Exception:  # what a camera wrote wrong can be read in part, and not written again
        return b""
    return content if len(content) <= MAX_EXIF else b""


def format_for(source: PillowImage, mode: str, *, lossless: bool = False) -> str:
    """The format of a changed copy: the source's own where that can hold the mode, else one that loses nothing.

    lossless: WebP becomes PNG; JPEG stays, as `save` can keep its losses from being made twice.
    """
    own = KEPT_FORMATS.get(source.format or "")
    if own is not None and mode in MODES[own] and not (lossless and own == "WEBP"):
        return own
    return "PNG" if mode in PNG_MODES else "TIFF"


def suffix_for(source: Path, kind: str) -> str:
    """The source's own ending where it fits the format."""
    fitting = SUFFIXES[kind]
    return source.suffix if source.suffix.lower() in fitting else fitting[0]


def own_suffix(source: Path) -> str:
    """The ending of a copy in the source's format, or in one that holds its mode."""
    try:
        with opened(source) as image:
            return suffix_for(source, format_for(image, image.mode))
    except Exception:  # it will not be mended either
        return source.suffix


def save(
    image: PillowImage, source: ImageFile, target: Path, kind: str = "", baked: int = 1, *, anew: bool = False
) -> None:
    """Write the changed picture as the source was written: its format, its losses, its colour profile and EXIF.

    kind: the format where it is not that of format_for. baked: the EXIF orientation that is in the pixels now. anew:
    the pixels are no longer the source's own, and its losses do not fit them. XMP is left out: it repeats the
    orientation, and points into the file that it came from.
    """
    fitting = colours(image.mode) == colours(source.mode)
    # where no profile is given, Pillow takes the picture's own
    profile = source.info.get("icc_profile") if fitting else None
    kept: dict[str, Any] = {"exif": exif_of(source, upright=baked > 1), "icc_profile": profile}
    density = source.info.get("dpi")
    if density:
        kept["dpi"] = density[::-1] if baked in TURNED else density
    match kind or format_for(source, image.mode):
        case "JPEG" if anew or source.format not in ("JPEG", "MPO") or image.mode != source.mode:
            image.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=NO_CHROMA_LOST, **kept)
        case "JPEG":
            save_jpeg(image, source, target, baked, kept)
        case "PNG":
            image.save(target, "PNG", **kept)
        case "WEBP":
            how = {"lossless": True, "exact": True} if is_lossless_webp(source) else {"quality": WEBP_QUALITY}
            image.save(target, "WEBP", **kept, **how)
        case _:
            image.save(target, "TIFF", compression="tiff_deflate", **kept)


def colours(mode: str) -> str:
    """Which colours a mode's values stand for, as a colour profile counts them: grey, RGB or the mode's own."""
    if mode in ("CMYK", "LAB"):
        return mode
    return "grey" if mode[0] in "1LIF" else "RGB"  # P's palette is RGB


def save_jpeg(image: PillowImage, source: ImageFile, target: Path, baked: int, kept: dict[str, Any]) -> None:
    """Write a JPEG with the quantisation of the source, so that what it lost once is not lost again.

    With tables that are transposed as the picture is, and blocks that stay whole, each coefficient falls on the step
    that it came from. Blocks that do not stay whole get steps of half the width.
    """
    from PIL.JpegImagePlugin import get_sampling

    sampling = get_sampling(source) if image.mode == "RGB" else -1
    if image.mode == "RGB" and sampling not in KNOWN_SAMPLINGS:  # 4:2:2 on its side has no name in Pillow
        sampling = NO_CHROMA_LOST
    how = {"qtables": quantisation(source, baked), "subsampling": sampling, "keep_rgb": is_stored_as_rgb(source)}
    how["comment"] = source.info.get("comment", b"")
    if how["keep_rgb"]:
        kept = {name: value for name, value in kept.items() if name != "dpi"}  # it would bring a JFIF header: not RGB
    progressive = bool(source.info.get("progressive"))
    try:
        image.save(target, "JPEG", progressive=progressive, **how, **kept)
    except OSError:
        if not progressive:
            raise
        image.save(target, "JPEG", **how, **kept)  # Pillow's buffer for progressive noise is too small


def quantisation(source: ImageFile, baked: int) -> list[list[int]]:
    """The table of each component, those at the end that repeat left out, as Pillow's encoder counts them."""
    tables: dict[int, list[int]] = source.quantization  # type: ignore[attr-defined]
    layers: list[tuple[int, int, int, int]] = source.layer  # type: ignore[attr-defined]
    chosen = [list(tables[layer[3]]) for layer in layers]
    while len(chosen) > 1 and chosen[-1] == chosen[-2]:
        chosen.pop()
    if baked in TURNED:
        chosen = [[table[column * 8 + row] for row in range(8) for column in range(8)] for table in chosen]
    across, down = (8 * max(layer[axis] for layer in layers) for axis in (1, 2))
    if (baked in FROM_THE_RIGHT and source.width % across) or (baked in FROM_BELOW and source.height % down):
        chosen = [[max(1, step // 2) for step in table] for table in chosen]
    return chosen


def is_stored_as_rgb(source: ImageFile) -> bool:
    """Whether a JPEG holds red, green and blue themselves (libjpeg, jdapimin.c: default_decompress_parms)."""
    if source.mode != "RGB" or "jfif" in source.info:
        return False
    if "adobe_transform" in source.info:
        return bool(source.info["adobe_transform"] == 0)
    return [layer[0] for layer in source.layer] == RGB_IDS  # type: ignore[attr-defined]


def is_lossless_webp(source: ImageFile) -> bool:
    """Whether the first picture of a WebP is coded without loss (RFC 9649: the chunk VP8L)."""
    if source.format != "WEBP":
        return False
    with Path(source.filename).open("rb") as file:  # type: ignore[arg-type]
        head = file.read(12)
        while head := file.read(8):
            if head[:4] in (b"VP8L", b"VP8 ", b"ANMF"):
                return head[:4] == b"VP8L"
            length = int.from_bytes(head[4:], "little")
            file.seek(length + length % 2, 1)
    return False
