"""Media that train without a complaint and should not, and files that are no media: small, and quick to make."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

SIZE = (64, 48)
Picture = Callable[[int], np.ndarray]
"""A frame by its number, height x width x 3."""


def make_unusual(folder: Path) -> None:
    """Pictures, videos, sounds and texts beside those of the scaffold."""
    make_pictures(folder)
    make_videos(folder)
    make_sounds(folder)
    (folder / "pointer.jpg").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (folder / "refused.mp4").write_text("<!DOCTYPE html><html><body>403 Forbidden</body></html>")


def make_pictures(folder: Path) -> None:
    """Tiny, slim, huge, printed, wide of gamut, coarse, blank, cut, damaged, misnamed."""
    from PIL import Image

    noise = Image.effect_noise((700, 480), 40).convert("RGB")
    noise.crop((0, 0, 12, 9)).save(folder / "tiny.png")
    noise.crop((0, 0, 700, 30)).save(folder / "strip.png")
    small = noise.crop((0, 0, *SIZE))
    small.convert("CMYK").save(folder / "print.jpg")
    small.save(folder / "gamut.jpg", icc_profile=wide_profile())
    small.save(folder / "coarse.jpg", quality=3)
    small.save(folder / "webp.jpg", "WEBP")
    Image.new("RGB", SIZE, (9, 9, 9)).save(folder / "blank.png")
    (folder / "half.jpg").write_bytes(halved(saved(noise)))
    (folder / "damaged.png").write_bytes(damaged_png(noise.crop((0, 0, 256, 256))))
    (folder / "bomb.png").write_bytes(png_of_size(20_000, 20_000))
    (folder / "vast.png").write_bytes(png_of_size(12_500, 12_000))


def saved(image: Any, **options: Any) -> bytes:
    """The bytes of a JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def halved(jpeg: bytes) -> bytes:
    """The first half of a JPEG, closed with an end marker."""
    return jpeg[: len(jpeg) // 2] + b"\xff\xd9"


def damaged_png(image: Any) -> bytes:
    """A PNG whose chunks are whole, with a wrong byte in the middle of its pixels."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[len(content) // 2] ^= 255
    return bytes(content)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header states a size for which it has no pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def wide_profile() -> bytes:
    """The profile of sRGB with the primaries of Adobe RGB (1998), adapted to D50."""
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    primaries = {b"rXYZ": (0.60974, 0.31111, 0.01947), b"gXYZ": (0.20528, 0.62567, 0.06087)}
    primaries |= {b"bXYZ": (0.14919, 0.06322, 0.74457)}
    for number in range(int.from_bytes(profile[128:132], "big")):
        name, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        if name in primaries:
            struct.pack_into(">3i", profile, offset + 8, *(round(value * 65536) for value in primaries[name]))
    return bytes(profile)


def blocks(number: int) -> np.ndarray:
    """A picture of random blocks."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (SIZE[1] // 8, SIZE[0] // 8, 3))
    return np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)


def flat(_: int) -> np.ndarray:
    """Black."""
    return np.zeros((SIZE[1], SIZE[0], 3), np.uint8)


def write_video(
    path: Path,
    picture: Picture = blocks,
    frames: int = 30,
    codec: str = "libx264",
    times: Callable[[int], int] | None = None,
    streams: int = 1,
    options: dict[str, str] | None = None,
    **context: Any,
) -> None:
    """A clip at 10 frames a second; `times` gives each frame's time in tenths, `context` is set on the encoder."""
    import av

    with av.open(str(path), "w") as container:
        added: list[Any] = [container.add_stream(codec, rate=10, options=options or {}) for _ in range(streams)]
        for stream in added:
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
            for name, value in context.items():
                setattr(stream.codec_context, name, value)
        for number in range(frames):
            for place, stream in enumerate(added):
                frame = av.VideoFrame.from_ndarray(picture(number + 1000 * place), format="rgb24")
                frame.pts = times(number) if times else number
                frame.time_base = Fraction(1, 10)
                container.mux(stream.encode(frame))
        for stream in added:
            container.mux(stream.encode())


def make_videos(folder: Path) -> None:
    """Short, stretched, bright, uneven, double, interlaced, black, frozen, damaged."""
    write_video(folder / "brief.mp4", frames=3)
    write_video(folder / "anamorphic.mp4", sample_aspect_ratio=Fraction(4, 3))
    write_video(folder / "bright.mp4", color_trc=16, color_primaries=9, colorspace=9)
    write_video(folder / "uneven.mp4", times=lambda number: number if number < 20 else number * 10)
    write_video(folder / "uneven.mkv", times=lambda number: number if number < 20 else number * 10)
    write_video(folder / "double.mkv", streams=2)
    write_video(folder / "woven.mp4", options={"x264-params": "tff=1"})
    write_video(folder / "black.mp4", flat)
    write_video(folder / "frozen.mp4", lambda _: blocks(0))
    write_video(folder / "moving.mp4", codec="mpeg4", options={"g": "30"})
    (folder / "smeared.mp4").write_bytes(smeared((folder / "moving.mp4").read_bytes()))


def smeared(mp4: bytes) -> bytes:
    """An MP4 of MPEG-4 video with wrong bytes in the middle of its frames, over which decoders go on."""
    content = bytearray(mp4)
    start = content.index(b"mdat")
    middle = start + int.from_bytes(content[start - 4 : start], "big") // 2
    for at in range(middle, middle + 24, 5):
        content[at] ^= 0x15
    return bytes(content)


def tone(seconds: float, rate: int = 16000) -> np.ndarray:
    """A soft tone, from -1 to 1."""
    return 0.2 * np.sin(np.arange(int(seconds * rate)) * (2 * np.pi * 220 / rate))


def make_sounds(folder: Path) -> None:
    """Broken, cut, long, short, from a telephone, silent, clipped, cancelling."""
    import soundfile

    with_nan = tone(1.0)
    with_nan[500] = np.nan
    soundfile.write(folder / "broken.wav", with_nan, 16000, subtype="FLOAT")
    noise = np.random.default_rng(3).normal(0, 0.1, 32000).clip(-1, 1)
    soundfile.write(folder / "noise.mp3", noise, 16000)
    whole = (folder / "noise.mp3").read_bytes()
    (folder / "cut.mp3").write_bytes(whole[: len(whole) // 2])
    soundfile.write(folder / "stump.wav", noise, 16000)
    whole = (folder / "stump.wav").read_bytes()
    (folder / "stump.wav").write_bytes(whole[: len(whole) // 4 * 2])
    soundfile.write(folder / "lecture.flac", tone(31.0), 16000)
    soundfile.write(folder / "blip.wav", tone(0.05), 16000)
    soundfile.write(folder / "phone.wav", tone(1.0, 8000), 8000)
    soundfile.write(folder / "silent.wav", np.zeros(16000), 16000)
    soundfile.write(folder / "clipped.wav", (tone(1.0) * 50).clip(-1, 1), 16000)
    soundfile.write(folder / "opposite.wav", np.stack([tone(1.0), -tone(1.0)], axis=1), 16000)
