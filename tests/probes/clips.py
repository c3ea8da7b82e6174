"""Video files of every kind that users have."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

Size = tuple[int, int]
CONTAINERS: dict[str, tuple[str, ...]] = {
    "mp4": ("libx264", "libx265", "mpeg4", "libvpx-vp9", "libsvtav1", "mjpeg", "mpeg2video"),
    "mov": ("libx264", "libx265", "mpeg4", "mjpeg", "prores", "rawvideo"),
    "mkv": ("libx264", "libx265", "libvpx-vp9", "libsvtav1", "mpeg4", "ffv1"),
    "webm": ("libvpx", "libvpx-vp9", "libsvtav1"),
    "avi": ("libx264", "mpeg4", "mjpeg", "rawvideo"),
    "ts": ("libx264", "libx265", "mpeg2video", "mpeg4"),
    "flv": ("libx264", "flv1"),
    "3gp": ("libx264", "mpeg4"),
    "mpg": ("mpeg2video",),
    "wmv": ("wmv2",),
    "gif": ("gif",),
    "ivf": ("libvpx-vp9",),
    "nut": ("mpeg4",),
}
PIXELS = {"gif": "rgb8", "mjpeg": "yuvj420p", "prores": "yuv422p10le"}


def write_clip(path: Path, codec: str, frames: int, size: Size = (64, 48), rate: int = 10, **options: str) -> None:
    """A clip of random blocks; the container comes from the name's end, options go to the encoder."""
    import av

    rng = np.random.default_rng(frames)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(rate), options=options)
        stream.width, stream.height, stream.pix_fmt = *size, PIXELS.get(codec, "yuv420p")
        for _ in range(frames):
            blocks = rng.integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3))
            picture = np.kron(blocks, np.ones((8, 8, 1)))[: size[1], : size[0]].astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def write_fragmented(path: Path, frames: int) -> None:
    """An MP4 in fragments, as streaming services write them: its header states no frame count."""
    import av

    with av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov"}) as container:
        stream: Any = container.add_stream("libx264", rate=10, options={"g": "8"})
        stream.width, stream.height = 64, 48
        for number in range(frames):
            picture = np.full((48, 64, 3), number * 7 % 256, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def copy_packets(source: Path, target: Path, keep: Callable[[int], bool]) -> None:
    """A copy without decoding, of the packets with those numbers."""
    import av

    with av.open(str(source)) as whole, av.open(str(target), "w") as part:
        stream = whole.streams.video[0]
        copied = part.add_stream_from_template(stream)
        for number, packet in enumerate(whole.demux(stream)):
            if packet.dts is not None and keep(number):
                packet.stream = copied
                part.mux(packet)


def patched(content: bytes, box: bytes, at: int, new: bytes) -> bytes:
    """MP4 bytes with some replaced, counted from the end of the first box of that type's name."""
    place = content.index(box) + 4 + at
    return content[:place] + new + content[place + len(new) :]


def turned(content: bytes, degrees: int) -> bytes:
    """An MP4 with a display matrix: 90, 180 or 270 degrees; 1 mirrors."""
    cells = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0), 1: (-1, 0, 0, 1), 0: (1, 0, 0, 1)}[degrees]
    a, b, c, d = (cell << 16 for cell in cells)
    return patched(content, b"tkhd", 40, struct.pack(">5i", a, b, 0, c, d))
