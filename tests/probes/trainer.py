"""The trainer's own reading of media: the real plugin of the installed llamafactory."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

IMAGE_LIMITS = {"image_max_pixels": 768 * 768, "image_min_pixels": 32 * 32}
VIDEO_LIMITS = {"image_max_pixels": 256 * 256, "image_min_pixels": 16 * 16, "video_fps": 2.0, "video_maxlen": 128}


@cache
def plugin(name: str = "base") -> Any:
    """A multimodal plugin by its registered name."""
    from llamafactory.data.mm_plugin import get_mm_plugin

    return get_mm_plugin(name, image_token="<image>", video_token="<video>", audio_token="<audio>")


def read_image(path: Path, **limits: float) -> Any:
    """The PIL image that the processor gets; raises what the trainer raises, there or at the processor's first look."""
    image = plugin()._regularize_images([str(path)], **(IMAGE_LIMITS | limits))["images"][0]
    image.load()
    return image


def read_video(path: Path, name: str = "base", **limits: float) -> dict[str, Any]:
    """Frames and duration of one video; raises what the trainer raises."""
    return plugin(name)._regularize_videos([str(path)], **(VIDEO_LIMITS | limits))
