"""How the pixels or samples of a healthy medium are coded, from its header."""

from __future__ import annotations

import warnings
from typing import BinaryIO

from validators.model import MediaKind
from validators.probes.opening import opened_file


def codec_of(kind: MediaKind, file: BinaryIO) -> str:
    """Pillow's mode (`RGB`), FFmpeg's codec with its pixels (`h264 yuv420p`) or with its channels (`mp3 stereo`);
    "" where the header does not tell."""
    try:
        return mode_of(file) if kind is MediaKind.IMAGE else stream_of(kind, file)
    except Exception:  # decoders raise what they like; the probe has said already that the trainer reads the file
        return ""


def mode_of(file: BinaryIO) -> str:
    """An image's mode."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(file) as image:
            return str(image.mode)


def stream_of(kind: MediaKind, file: BinaryIO) -> str:
    """The codec of the first video stream, or of the sound that FFmpeg takes for the best."""
    with opened_file(file) as container:
        if kind is MediaKind.VIDEO:
            video = container.streams.video[0].codec_context
            return " ".join(filter(None, (video.name, video.pix_fmt)))
        best = container.streams.best("audio")
        stream = next(each for each in container.streams.audio if best is None or each.index == best.index)
        audio = stream.codec_context
    count = {1: "mono", 2: "stereo"}.get(audio.channels, f"{audio.channels} channels")
    return f"{audio.name} {count}"
