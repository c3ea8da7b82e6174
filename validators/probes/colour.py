"""What an image's header says of its colours and its compression."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

from validators.probes.facts import Trait

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

LARGEST_PROFILE = 1 << 21  # bytes; print profiles have half a megabyte
SEEN = 16  # of 255 steps: a difference that a person sees without a second picture beside it
LOW_QUALITY = 50  # noted below this; rules have their own numbers
LEVELS = (0, 64, 128, 192, 255)
# ITU-T T.81, Annex K.1: the luminance table from which libjpeg scales
STANDARD_SUM = 3688


def colour_traits(image: PillowImage) -> dict[Trait, float | None]:
    """Print colours, a profile that the trainer ignores, a low JPEG quality."""
    found: dict[Trait, float | None] = {}
    if image.mode == "CMYK":
        found[Trait.CMYK] = None
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and 128 < len(profile) <= LARGEST_PROFILE and image.mode in ("RGB", "L"):
        shift = profile_shift(profile, image.mode)
        if shift >= SEEN:
            found[Trait.PROFILE] = shift
    quality = jpeg_quality(image)
    if quality is not None and quality < LOW_QUALITY:
        found[Trait.QUALITY] = quality
    return found


@lru_cache(maxsize=64)
def profile_shift(profile: bytes, mode: str) -> int:
    """By how many steps of 255 a viewer that honours the profile shows another colour than the bare numbers, at most.

    Over a cube of colours; 0 where the profile cannot be read, which viewers then ignore as well.
    """
    import io

    import numpy as np
    from PIL import Image, ImageCms

    colours = list(product(LEVELS, repeat=3)) if mode == "RGB" else [(level, level, level) for level in range(256)]
    bare = np.array([colours], dtype=np.uint8)
    shown = Image.fromarray(bare) if mode == "RGB" else Image.fromarray(bare[..., 0])
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        screen = ImageCms.createProfile("sRGB")
        managed = ImageCms.profileToProfile(shown, source, screen, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return 0
    if managed is None:
        return 0
    return int(np.abs(np.asarray(managed).astype(int) - bare.astype(int)).max())


def jpeg_quality(image: PillowImage) -> float | None:
    """The quality, as libjpeg counts it, that the first quantization table stands for; None without one.

    libjpeg scales the standard's table by 5000 / quality below 50, and by 200 - 2 × quality above (jcparam.c:
    jpeg_quality_scaling).
    """
    tables = getattr(image, "quantization", None)
    if not isinstance(tables, dict) or not tables:
        return None
    scale = 100 * sum(tables[min(tables)]) / STANDARD_SUM
    return 5000 / scale if scale > 100 else (200 - scale) / 2
