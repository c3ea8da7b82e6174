"""What a person sees of a picture, independent of the trainer's reading, and whether the trainer's reading differs."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

NEAR = 2  # 8-bit steps that rounding may leave between two readings of one pixel


def seen(path: str) -> Any:
    """The picture as viewers show it: turned upright, over a white page, 16 bits scaled to 8."""
    import numpy as np
    from PIL import Image, ImageOps

    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file)
        image.load()
    if image.mode.startswith("I;16") or image.mode == "I":
        return Image.fromarray((np.asarray(image).astype(np.float64) / 257).round().astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        page = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(page, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


@lru_cache(maxsize=100_000)
def picture_altered(path: str) -> bool:
    """Whether the trainer reads another picture than a person sees, its resizing apart; True for moving pictures.

    The reading is the real `_regularize_images`, with limits that no picture here reaches.
    """
    import numpy as np
    from llamafactory.data.mm_plugin import BasePlugin
    from PIL import Image

    with Image.open(path) as file:
        if getattr(file, "n_frames", 1) > 1:
            return True
    limits = {"image_max_pixels": 10**9, "image_min_pixels": 1}
    read = BasePlugin(None, None, None)._regularize_images([path], **limits)["images"][0]
    wanted = seen(path)
    if read.size != wanted.size:
        return True
    difference = np.asarray(read).astype(np.int32) - np.asarray(wanted).astype(np.int32)
    return int(np.abs(difference).max()) > NEAR


@lru_cache(maxsize=100_000)
def clip_altered(path: str, longest: int) -> bool:
    """Whether only the clip's beginning is taken: no frame count in the header, more frames than video_maxlen."""
    import av

    with av.open(path) as container:
        stream = next(stream for stream in container.streams if stream.type == "video")
        if stream.frames:
            return False
        for count, _ in enumerate(container.decode(stream), 1):
            if count > longest:
                return True
    return False
