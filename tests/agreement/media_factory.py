"""Media of every kind that users have, sound and damaged, made once for a run from a seed.

A file's group says what is wrong with it (or that nothing is); faults.py asks for files by group. Pictures are uneven
gradients under noise, so that no rotation, mirroring, scaling or change of depth leaves one as it was.
"""

from __future__ import annotations

import io
import random
import shutil
import struct
import wave
import zlib
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

DEMO = Path(__file__).resolve().parents[2] / "examples/demo/media"
SIZES = [(64, 48), (97, 53), (300, 300), (448, 448), (449, 448), (640, 480), (333, 777), (1100, 300), (900, 900)]


@dataclass
class Stock:
    """A folder of media; `groups` maps a group's name to file names relative to the folder."""

    folder: Path
    groups: dict[str, list[str]] = field(default_factory=dict)

    def pick(self, rng: random.Random, group: str) -> str:
        """One file of a group."""
        return rng.choice(self.groups[group])

    def add(self, group: str, name: str) -> Path:
        """Register a file and give the path to write it to."""
        self.groups.setdefault(group, []).append(name)
        return self.folder / name


def make_stock(folder: Path, seed: int, small: bool = False) -> Stock:
    """Make all media below `folder`; `small` leaves out the biggest and longest (for the test run)."""
    folder.mkdir(parents=True, exist_ok=True)
    stock = Stock(folder)
    rng = random.Random(seed)
    copy_demo(stock)
    make_images(stock, rng, 12 if small else 44)
    make_videos(stock, rng, 2 if small else 12)
    make_audios(stock, rng, small)
    stock.add("text-file", "notes.txt").write_text("not a medium\n")
    (folder / "subfolder").mkdir(exist_ok=True)
    return stock


def copy_demo(stock: Stock) -> None:
    """The demo's real photographs, clips and recordings."""
    for part, group in (("images", "image"), ("clips", "video"), ("sounds", "audio")):
        (stock.folder / part).mkdir(exist_ok=True)
        for file in sorted((DEMO / part).iterdir()):
            if file.suffix != ".txt":
                shutil.copy(file, stock.add(group, f"{part}/{file.name}"))


def pixels(rng: random.Random, size: tuple[int, int], channels: int = 3, top: int = 255) -> np.ndarray[Any, Any]:
    """An uneven gradient under noise, uint16 from 0 to `top`."""
    width, height = size
    noise = np.random.default_rng(rng.randrange(2**32))
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    planes = [(across * 0.6 + down * 0.2 * (n + 1) % 1) * 0.7 + 0.05 * n for n in range(channels)]
    field_ = np.stack(planes, axis=-1) + noise.random((height, width, channels)) * 0.15
    return (np.clip(field_, 0, 1) * top).astype(np.uint16)


def picture(rng: random.Random, size: tuple[int, int], mode: str = "RGB") -> Any:
    """A picture in one of Pillow's modes; alpha runs from clear to opaque."""
    from PIL import Image

    if mode.startswith("I;16"):
        return Image.fromarray(pixels(rng, size, 1, 65535)[:, :, 0])
    image = Image.fromarray(pixels(rng, size).astype(np.uint8))
    if mode in ("RGBA", "LA"):
        alpha = Image.fromarray((np.linspace(0, 1, size[0] * size[1]).reshape(size[1], size[0]) * 255).astype(np.uint8))
        image = image.convert(mode)
        image.putalpha(alpha)
        return image
    return image.convert(mode)


def make_images(stock: Stock, rng: random.Random, count: int) -> None:
    """Sound pictures of every format and mode, then those that train altered, then those that do not open."""
    from PIL import Image

    formats = [("jpg", "RGB"), ("png", "RGB"), ("webp", "RGB"), ("bmp", "RGB"), ("tiff", "RGB"), ("gif", "P")]
    formats += [("jpg", "CMYK"), ("jpg", "L"), ("png", "P"), ("png", "1"), ("png", "L"), ("tiff", "1")]
    for number in range(count):
        suffix, mode = formats[number % len(formats)]
        size = SIZES[number % len(SIZES)] if number % 3 else (rng.randint(20, 700), rng.randint(20, 700))
        picture(rng, size, mode).save(stock.add("image", f"p{number}_{mode}.{suffix}"))
    opaque = picture(rng, (120, 90), "RGBA")
    opaque.putalpha(255)
    opaque.save(stock.add("image-opaque-alpha", "opaque.png"))
    opaque.save(stock.add("image-opaque-alpha", "opaque.webp"), lossless=True)
    picture(rng, (80, 60)).save(stock.folder / "inside.png")
    shutil.copy(stock.folder / "inside.png", stock.add("image-wrong-suffix", "really_png.jpg"))

    for mode, suffix in (("RGBA", "png"), ("LA", "png"), ("RGBA", "webp"), ("RGBA", "tiff")):
        picture(rng, (130, 90), mode).save(stock.add("image-alpha", f"alpha_{mode}.{suffix}"))
    palette = picture(rng, (90, 70)).quantize(32)
    palette.save(stock.add("image-alpha", "palette_clear.png"), transparency=3)
    for suffix in ("png", "tiff"):
        picture(rng, (100, 140), "I;16").save(stock.add("image-16bit", f"deep.{suffix}"))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        group = "image" if orientation == 1 else "image-exif"
        picture(rng, (160, 120)).save(stock.add(group, f"turned{orientation}.jpg"), exif=exif, quality=95)
    frames = [picture(rng, (90, 80)) for _ in range(3)]
    for suffix in ("gif", "webp", "png"):
        frames[0].save(stock.add("image-animated", f"moving.{suffix}"), save_all=True, append_images=frames[1:])

    for suffix, size in (("jpg", (500, 400)), ("png", (200, 150)), ("webp", (300, 200)), ("gif", (200, 200))):
        whole = io.BytesIO()
        picture(rng, size).save(whole, "JPEG" if suffix == "jpg" else suffix.upper())
        stock.add("image-truncated", f"cut.{suffix}").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    stock.add("image-empty", "empty.jpg").write_bytes(b"")
    stock.add("image-html", "blocked.jpg").write_text("<!DOCTYPE html><title>403 Forbidden</title>")
    stock.add("image-bomb", "bomb.png").write_bytes(bomb(30_000, 30_000))
    Image.new("1", (1, 700_000)).save(stock.add("image-sliver", "sliver.png"))
    Image.new("1", (650_000, 1)).save(stock.add("image-sliver", "thread.png"))
    picture(rng, (1, 3000)).save(stock.add("image-narrow", "narrow.png"))
    picture(rng, (2500, 3)).save(stock.add("image-narrow", "flat.png"))
    picture(rng, (1, 1)).save(stock.add("image-narrow", "dot.png"))


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises far more pixels than its data has."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


@dataclass(frozen=True)
class Clip:
    """How a video is made."""

    frames: int
    size: tuple[int, int] = (96, 64)
    rate: int = 10
    codec: str = "mpeg4"
    sound: float = 0
    """Seconds of sound beside the picture."""
    uneven: bool = False
    """Frames at uneven times."""
    options: tuple[tuple[str, str], ...] = ()


def make_clip(path: Path, clip: Clip, rng: random.Random) -> None:
    """Write a video; without a video stream when it has no frames."""
    import av

    with av.open(str(path), "w", options=dict(clip.options)) as container:
        video: Any = None
        if clip.frames:
            video = container.add_stream(clip.codec, rate=Fraction(clip.rate))
            video.width, video.height, video.pix_fmt = *clip.size, "rgb8" if clip.codec == "gif" else "yuv420p"
            if clip.uneven:
                video.codec_context.time_base = Fraction(1, 1000)
        sound: Any = None
        if clip.sound:
            name = "libopus" if path.suffix == ".webm" else "aac" if path.suffix in (".mp4", ".mov", ".ts") else "mp3"
            rate = 48000 if name != "aac" else 16000
            sound = container.add_stream(name, rate=rate, layout="mono")
        base = pixels(rng, clip.size).astype(np.uint8)
        for number in range(clip.frames):
            frame = av.VideoFrame.from_ndarray(np.roll(base, number * 3, axis=1), format="rgb24")
            if clip.uneven:
                frame.time_base = Fraction(1, 1000)
                frame.pts = number * 100 + (number % 5) * 17
            container.mux(video.encode(frame))
        if video is not None:
            container.mux(video.encode())
        if sound is not None:
            for packet in encode_tone(sound, clip.sound):
                container.mux(packet)


def encode_tone(stream: Any, seconds: float) -> Any:
    """Packets of a tone in the stream's own format."""
    import av

    rate = stream.rate
    samples = (np.sin(np.arange(int(rate * seconds)) * 0.05) * 9000).astype(np.int16).reshape(1, -1)
    resampler = av.AudioResampler(format=stream.format, layout=stream.layout, rate=rate)
    pts = 0
    for start in range(0, samples.shape[1], 1024):
        frame = av.AudioFrame.from_ndarray(samples[:, start : start + 1024], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, pts, Fraction(1, rate)
        pts += frame.samples
        for part in resampler.resample(frame):
            yield from stream.encode(part)
    yield from stream.encode(None)


def make_videos(stock: Stock, rng: random.Random, drawn: int) -> None:
    """Sound clips; streams without a frame count; files that are cut, empty or no videos."""

    def clip(group: str, name: str, **how: Any) -> Path:
        path = stock.add(group, name)
        make_clip(path, Clip(**how), rng)
        return path

    clip("video", "short.mp4", frames=23)
    clip("video", "one.mp4", frames=1)
    clip("video", "two.mp4", frames=2, rate=1)
    clip("video", "odd.mp4", frames=31, size=(75, 101), rate=7)
    clip("video", "fast.mp4", frames=61, size=(160, 120), rate=30, codec="libx264")
    clip("video", "long.mp4", frames=160, size=(64, 48), rate=7)
    clip("video", "big.mp4", frames=12, size=(1280, 720), rate=4, codec="libx264")
    clip("video", "wide.mp4", frames=9, size=(640, 96), rate=3)
    clip("video", "sounding.mp4", frames=20, sound=2.0)
    clip("video", "uneven.mp4", frames=25, uneven=True, codec="libx264")
    clip("video", "old.avi", frames=40, rate=13)
    clip("video", "motion.mov", frames=18, rate=24)
    clip("video", "jpegs.avi", frames=11, rate=5, codec="mpeg2video")
    for number in range(drawn):
        name = f"drawn{number}.{('mp4', 'avi', 'mov')[number % 3]}"
        size = (2 * rng.randint(9, 130), 2 * rng.randint(9, 130))
        codec = "libx264" if number % 3 == 0 and rng.random() < 0.6 else "mpeg4"
        rate = rng.choice([1, 2, 5, 12, 15, 24, 25, 30, 50, 60])
        clip("video", name, frames=rng.randint(1, 90), size=size, rate=rate, codec=codec)
    clip("video-no-count", "matroska.mkv", frames=45)
    clip("video-no-count", "matroska_long.mkv", frames=150, size=(64, 48))
    clip("video-no-count", "stream.ts", frames=38, codec="libx264", sound=1.0)
    clip("video-no-count", "web.webm", frames=33, codec="libvpx", sound=3.3)
    clip("video-no-count", "still.mkv", frames=1)
    clip("video-no-count", "moving_picture.gif", frames=14, size=(64, 48), codec="gif")

    first = (("movflags", "+faststart"),)
    for name, how in {
        "cut_front.mp4": {"frames": 60, "options": first, "codec": "libx264", "size": (160, 120)},
        "cut_front2.mp4": {"frames": 60, "options": first},
        "cut.avi": {"frames": 50},
        "cut.mkv": {"frames": 50},
        "cut.ts": {"frames": 50, "codec": "libx264"},
    }.items():
        whole = stock.folder / f"whole_{name}"
        make_clip(whole, Clip(**how), rng)  # type: ignore[arg-type]
        content = whole.read_bytes()
        whole.unlink()
        stock.add("video-cut", name).write_bytes(content[: int(len(content) * rng.uniform(0.45, 0.7))])
    content = (stock.folder / "long.mp4").read_bytes()
    stock.add("video-no-index", "no_moov.mp4").write_bytes(content[: len(content) // 2])
    clip("video-sound-only", "sound_only.mp4", frames=0, sound=1.0)
    stock.add("video-empty", "empty.mp4").write_bytes(b"")
    stock.add("video-html", "blocked.mp4").write_text("<html>Sign in to view this video</html>")
    shutil.copy(DEMO / "images/1.jpg", stock.add("video-picture", "picture.mp4"))


def make_audios(stock: Stock, rng: random.Random, small: bool) -> None:
    """Sound recordings at many rates; then cut, empty and false ones."""
    import av
    import soundfile

    def wav(path: Path, seconds: float, rate: int, channels: int = 1) -> None:
        samples = np.sin(np.arange(int(seconds * rate)) * rng.uniform(0.02, 0.2)) * 12000
        with wave.open(str(path), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(np.repeat(samples.astype("<i2"), channels).tobytes())

    for number, rate in enumerate((8000, 11025, 16000, 22050, 44100, 48000)):
        wav(stock.add("audio", f"tone{rate}.wav"), rng.uniform(0.2, 4), rate, 1 + number % 2)
    if not small:
        wav(stock.add("audio", "long.wav"), 33.3, 16000)
    wav(stock.add("audio", "second.wav"), 1.0, 16000)
    for number in range(3 if small else 14):
        rate = rng.choice([7350, 8000, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 96000])
        suffix = ("wav", "flac", "ogg", "wav")[number % 4]
        if suffix == "wav":
            wav(stock.add("audio", f"drawn{number}.wav"), rng.uniform(0.03, 7), rate, rng.randint(1, 2))
        else:
            tone = np.sin(np.arange(int(rate * rng.uniform(0.05, 4))) * 0.06) * 0.4
            soundfile.write(stock.add("audio", f"drawn{number}.{suffix}"), tone, rate)
    for suffix, rate, channels in (("flac", 44100, 2), ("ogg", 22050, 1), ("mp3", 24000, 1), ("mp3", 44100, 2)):
        tone = np.sin(np.arange(int(rate * rng.uniform(0.3, 3))) * 0.06) * 0.4
        data = np.stack([tone] * channels, axis=-1)
        soundfile.write(stock.add("audio", f"made{rate}_{channels}.{suffix}"), data, rate)
    for name, codec, rate in (("made.m4a", "aac", 16000), ("made.opus", "libopus", 48000)):
        with av.open(str(stock.add("audio", name)), "w") as container:
            stream: Any = container.add_stream(codec, rate=rate, layout="mono")
            for packet in encode_tone(stream, 1.7):
                container.mux(packet)
    for seconds, name in ((0.004, "click.wav"), (0.0201, "tick.wav"), (0.0199, "tock.wav"), (0.05, "blip.wav")):
        wav(stock.add("audio-tiny", name), seconds, 16000)
    for suffix in ("wav", "mp3", "flac", "ogg", "m4a"):
        own = [name for name in stock.groups["audio"] if "/" not in name and "drawn" not in name]
        whole = next(name for name in own if name.endswith(f".{suffix}"))
        content = (stock.folder / whole).read_bytes()
        stock.add("audio-cut", f"cut_sound.{suffix}").write_bytes(content[: int(len(content) * 0.6) | 1])
    stock.add("audio-empty", "empty.wav").write_bytes(b"")
    wav(stock.add("audio-silent", "no_samples.wav"), 0.0, 16000)
    stock.add("audio-html", "blocked.wav").write_text("<html>404</html>")
    shutil.copy(stock.folder / "sounding.mp4", stock.add("audio-video-with-sound", "talking.mp4"))
    shutil.copy(stock.folder / "short.mp4", stock.add("audio-video-mute", "mute.mp4"))
