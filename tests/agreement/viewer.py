"""What a person sees of a medium, independent of the trainer's reading, and whether the trainer's reading differs."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

NEAR = 9  # 8-bit steps that an eye passes over
FAR = 100  # steps that no resampling of one and the same picture makes, but a lost background does
FIRST_IS_SHOWN = ("MPO", "ICO", "ICNS", "PSD")
"""Formats of which viewers show one picture, too, however many there are."""


def frames_seen(path: str) -> list[Any]:
    """Each frame as viewers show it, height x width x 3 from 0 to 255: upright, over a white page, in 8 bits."""
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        count = 1 if image.format in FIRST_IS_SHOWN else getattr(image, "n_frames", 1)
        frames = []
        for number in range(count):
            image.seek(number)
            frames.append(over_white(ImageOps.exif_transpose(image) or image, image.format or ""))
    return frames


def over_white(image: Any, kind: str) -> Any:
    """One frame's pixels."""
    import numpy as np

    if image.mode.startswith("I"):
        scale = 257 if image.mode != "I" or kind in ("PNG", "PPM") else 1
        return np.repeat(np.asarray(image).astype(float)[..., None] / scale, 3, axis=2)
    if image.mode == "F":
        return np.repeat(np.asarray(image).astype(float)[..., None] * 255, 3, axis=2)
    if image.mode not in ("RGBA", "LA", "PA", "P") and "transparency" not in image.info:
        return np.asarray(image.convert("RGB")).astype(float)
    pixels = np.asarray(image.convert("RGBA")).astype(float)
    alpha = pixels[..., 3:] / 255
    return pixels[..., :3] * alpha + 255 * (1 - alpha)


@lru_cache(maxsize=100_000)
def picture_altered(path: str, most: int = 10**9, least: int = 1) -> bool:
    """Whether the trainer reads another picture than a person sees, its resizing apart; True for moving pictures.

    The reading is the real `_regularize_images`: without limits, and with the run's (pixels of area), as what is
    transparent can be lost by resizing alone.
    """
    import numpy as np
    from llamafactory.data.mm_plugin import BasePlugin
    from PIL import Image

    def read(most: int, least: int) -> Any:
        limits = {"image_max_pixels": most, "image_min_pixels": least}
        return BasePlugin(None, None, None)._regularize_images([path], **limits)["images"][0]

    frames = frames_seen(path)
    seen = frames[0]
    trained = np.asarray(read(10**9, 1)).astype(float)
    if len(frames) > 1 or seen.shape != trained.shape or np.abs(seen - trained).max() > NEAR:
        return True
    with Image.open(path) as file:
        clear = "A" in file.getbands()
    limited = read(most, least)
    if not clear or limited.size == (seen.shape[1], seen.shape[0]):
        return False
    wanted = Image.fromarray(seen.round().clip(0, 255).astype(np.uint8)).resize(limited.size)
    return bool(np.abs(np.asarray(limited).astype(float) - np.asarray(wanted).astype(float)).max() > FAR)


@lru_cache(maxsize=100_000)
def clip_altered(path: str, longest: int) -> bool:
    """Whether a clip is shown turned, stretched or mapped from a bright range by players, or only its beginning is
    taken: no frame count in the header, more frames than video_maxlen."""
    import av

    with av.open(path) as container:
        stream = next(stream for stream in container.streams if stream.type == "video")
        if (stream.sample_aspect_ratio or 1) != 1 or stream.codec_context.color_trc in (16, 18):
            return True
        for count, frame in enumerate(container.decode(stream), 1):
            if frame.rotation:
                return True
            if stream.frames:
                return False
            if count > longest:
                return True
    return False
