"""Which images reach the model otherwise than a person sees them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.agreement.viewer import frames_seen
from tests.probes.trainer import read_image
from validators.budgets.resize import Size, regularize
from validators.probes.facts import Alteration, Health, alterations
from validators.probes.image import TOLERANCE, probe_image
from validators.settings import TrainerSettings

Rng = np.random.Generator
SETTINGS = TrainerSettings()


def noise(rng: Rng, channels: int, high: int = 256, size: tuple[int, int] | None = None) -> np.ndarray:
    """Smooth random values of a random size, a band a channel."""
    width, height = size or (int(rng.integers(33, 90)), int(rng.integers(33, 90)))
    small = rng.integers(0, high, (height // 8 + 2, width // 8 + 2, channels))
    dtype = np.uint16 if high > 256 else np.uint8
    return np.kron(small, np.ones((8, 8, 1)))[:height, :width].astype(dtype).squeeze()


def picture(rng: Rng, mode: str = "RGB") -> Image.Image:
    """A random picture of that mode; alpha, where there is one, is random too."""
    match mode:
        case "1" | "P" | "CMYK" | "YCbCr" | "LAB":
            base = Image.fromarray(noise(rng, 3))
            return base.quantize(int(rng.integers(2, 200))) if mode == "P" else base.convert(mode)
        case "I;16":
            return Image.fromarray(noise(rng, 1, 65536))
        case "I":
            return Image.fromarray(noise(rng, 1, 65536).astype(np.int32))
        case "F":
            return Image.fromarray(rng.random((40, 50), dtype=np.float32))
        case "LA":
            return Image.fromarray(noise(rng, 4)).convert("LA")
        case _:
            return Image.fromarray(noise(rng, {"L": 1, "RGB": 3, "RGBA": 4}[mode]))


def with_alpha(rng: Rng, alpha: int, colour: int | None = None) -> Image.Image:
    """An RGBA picture with one alpha in a corner, and one grey under it."""
    rgb = noise(rng, 3)
    pixels = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    pixels[:9, :9, 3] = alpha
    if colour is not None:
        pixels[:9, :9, :3] = colour
    return Image.fromarray(pixels)


def exif(orientation: int) -> bytes:
    """EXIF bytes with an orientation."""
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def animated(rng: Rng, kind: str, count: int, **options: object) -> bytes:
    """Several pictures in a file."""
    size = (int(rng.integers(33, 90)), int(rng.integers(33, 90)))
    first, *rest = [Image.fromarray(noise(rng, 3, size=size)) for _ in range(count)]
    return saved(first, kind, save_all=True, append_images=rest, **options)


def late_exif(rng: Rng, orientation: int) -> bytes:
    """A PNG with its eXIf chunk after the pixels, as exiftool writes it."""
    data = saved(picture(rng), "PNG")
    end = data.rindex(b"IEND") - 4
    chunk = io.BytesIO()
    PngImagePlugin.putchunk(chunk, b"eXIf", exif(orientation)[6:])
    return data[:end] + chunk.getvalue() + data[end:]


def xmp(orientation: int) -> bytes:
    """XMP with an orientation."""
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def sixteen_bits_rgb(rng: Rng, kind: str) -> bytes:
    """A 16-bit colour picture: a binary PPM, or a PNG written by hand."""
    import struct
    import zlib

    pixels = noise(rng, 3, 65536).astype(">u2")
    height, width = pixels.shape[:2]
    if kind == "PPM":
        return f"P6 {width} {height} 65535\n".encode() + pixels.tobytes()

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


FILES: dict[str, Callable[[Rng], bytes]] = {
    "jpeg": lambda rng: saved(picture(rng), "JPEG"),
    "jpeg grey": lambda rng: saved(picture(rng, "L"), "JPEG"),
    "jpeg cmyk": lambda rng: saved(picture(rng, "CMYK"), "JPEG"),
    "jpeg progressive": lambda rng: saved(picture(rng), "JPEG", progressive=True),
    "jpeg xmp": lambda rng: saved(picture(rng), "JPEG", xmp=xmp(6)),
    "mpo": lambda rng: animated(rng, "MPO", 2),
    "webp": lambda rng: saved(picture(rng), "WEBP", lossless=True),
    "webp alpha": lambda rng: saved(picture(rng, "RGBA"), "WEBP", lossless=True, exact=True),
    "webp animated": lambda rng: animated(rng, "WEBP", 3),
    "gif": lambda rng: saved(picture(rng, "P"), "GIF"),
    "gif animated": lambda rng: animated(rng, "GIF", 3),
    "gif transparent": lambda rng: saved(picture(rng, "P"), "GIF", transparency=0),
    "apng": lambda rng: animated(rng, "PNG", 3),
    "apng default image": lambda rng: animated(rng, "PNG", 3, default_image=True),
    "tiff": lambda rng: saved(picture(rng), "TIFF"),
    "tiff pages": lambda rng: animated(rng, "TIFF", 2),
    "tiff alpha": lambda rng: saved(picture(rng, "RGBA"), "TIFF"),
    "tiff lzw": lambda rng: saved(picture(rng), "TIFF", compression="tiff_lzw"),
    "tiff 16": lambda rng: saved(picture(rng, "I;16"), "TIFF"),
    "tiff 32": lambda rng: saved(picture(rng, "I"), "TIFF"),
    "tiff float": lambda rng: saved(picture(rng, "F"), "TIFF"),
    "tiff cmyk": lambda rng: saved(picture(rng, "CMYK"), "TIFF"),
    "tiff lab": lambda rng: saved(picture(rng, "LAB"), "TIFF"),
    "avif": lambda rng: saved(picture(rng), "AVIF"),
    "avif alpha": lambda rng: saved(picture(rng, "RGBA"), "AVIF"),
    "avif animated": lambda rng: animated(rng, "AVIF", 3),
    "png": lambda rng: saved(picture(rng), "PNG"),
    "png grey": lambda rng: saved(picture(rng, "L"), "PNG"),
    "png bilevel": lambda rng: saved(picture(rng, "1"), "PNG"),
    "png palette": lambda rng: saved(picture(rng, "P"), "PNG"),
    "png palette transparent": lambda rng: saved(picture(rng, "P"), "PNG", transparency=0),
    "png palette alphas": lambda rng: saved(picture(rng, "P"), "PNG", transparency=bytes(range(0, 200, 9))),
    "png palette opaque": lambda rng: saved(picture(rng, "P"), "PNG", transparency=bytes([255] * 9)),
    "png grey key": lambda rng: saved(picture(rng, "L"), "PNG", transparency=int(rng.integers(256))),
    "png colour key": lambda rng: saved(picture(rng), "PNG", transparency=(1, 2, 3)),
    "png alpha": lambda rng: saved(picture(rng, "RGBA"), "PNG"),
    "png grey alpha": lambda rng: saved(picture(rng, "LA"), "PNG"),
    "png opaque": lambda rng: saved(with_alpha(rng, 255), "PNG"),
    "png nearly opaque": lambda rng: saved(with_alpha(rng, 252), "PNG"),
    "png black under clear": lambda rng: saved(with_alpha(rng, 0, 0), "PNG"),
    "png white under clear": lambda rng: saved(with_alpha(rng, 0, 255), "PNG"),
    "png half clear": lambda rng: saved(with_alpha(rng, 128, 40), "PNG"),
    "png 16": lambda rng: saved(picture(rng, "I;16"), "PNG"),
    "png 16 dark": lambda rng: saved(Image.fromarray(noise(rng, 1, 65536) // 9000), "PNG"),
    "png 16 white": lambda rng: saved(Image.fromarray(np.full((40, 40), 65535, np.uint16)), "PNG"),
    "png 16 colours": lambda rng: sixteen_bits_rgb(rng, "PNG"),
    "ppm 16 colours": lambda rng: sixteen_bits_rgb(rng, "PPM"),
    "ppm": lambda rng: saved(picture(rng), "PPM"),
    "bmp": lambda rng: saved(picture(rng), "BMP"),
    "bmp palette": lambda rng: saved(picture(rng, "P"), "BMP"),
    "tga": lambda rng: saved(picture(rng), "TGA"),
    "tga alpha": lambda rng: saved(picture(rng, "RGBA"), "TGA"),
    "ico": lambda rng: saved(picture(rng, "RGBA"), "ICO", sizes=[(32, 32), (48, 48)]),
    "jpeg 2000": lambda rng: saved(picture(rng), "JPEG2000"),
    "jpeg 2000 alpha": lambda rng: saved(picture(rng, "RGBA"), "JPEG2000"),
    "pcx": lambda rng: saved(picture(rng), "PCX"),
    "qoi alpha": lambda rng: saved(picture(rng, "RGBA"), "QOI") if "QOI" in Image.SAVE else saved(picture(rng), "PNG"),
}
FILES |= {f"jpeg turned {n}": lambda rng, n=n: saved(picture(rng), "JPEG", exif=exif(n)) for n in range(10)}
FILES |= {f"webp turned {n}": lambda rng, n=n: saved(picture(rng), "WEBP", exif=exif(n)) for n in (1, 3, 6)}
FILES |= {f"png turned {n}": lambda rng, n=n: saved(picture(rng), "PNG", exif=exif(n)) for n in (1, 2, 8)}
FILES |= {f"png turned late {n}": lambda rng, n=n: late_exif(rng, n) for n in (1, 5, 8)}
FILES |= {f"avif turned {n}": lambda rng, n=n: saved(picture(rng), "AVIF", exif=exif(n)) for n in (1, 6)}
FILES |= {f"tiff turned {n}": lambda rng, n=n: saved(picture(rng), "TIFF", tiffinfo={0x0112: n}) for n in (1, 3, 6)}


def differs(path: Path) -> bool:
    """Whether the trainer's picture is another one than a person's."""
    frames = frames_seen(str(path))
    trained = np.asarray(read_image(path)).astype(float)
    seen = frames[0]
    return len(frames) > 1 or seen.shape != trained.shape or bool(np.abs(seen - trained).max() > TOLERANCE + 1)


@pytest.mark.parametrize("kind", FILES)
def test_altered_as_the_trainer_alters(kind: str, tmp_path: Path) -> None:
    """Facts name an alteration exactly where the trainer's picture differs from the one on a screen."""
    for seed in range(4):
        path = tmp_path / f"{seed}.bin"
        path.write_bytes(FILES[kind](np.random.default_rng(seed)))
        facts = probe_image(path)
        assert facts.health is Health.OK, facts
        assert bool(alterations(facts, SETTINGS)) == differs(path), (kind, seed, facts)
        size = regularize(Size(facts.width, facts.height), SETTINGS.image_max_pixels, SETTINGS.image_min_pixels)
        assert (size.width, size.height) == read_image(path).size


def test_reasons_are_named_apart(tmp_path: Path) -> None:
    """Each kind of alteration has its own name, and one file can have several."""
    rng = np.random.default_rng(1)
    expected = {
        "jpeg turned 6": [Alteration.ROTATED],
        "png alpha": [Alteration.ALPHA],
        "png 16": [Alteration.DEPTH],
        "gif animated": [Alteration.FIRST_FRAME],
    }
    for kind, reasons in expected.items():
        path = tmp_path / "file"
        path.write_bytes(FILES[kind](rng))
        assert list(alterations(probe_image(path), SETTINGS)) == reasons
    turned = saved(picture(rng, "RGBA"), "PNG", exif=exif(6))
    path.write_bytes(turned)
    assert set(alterations(probe_image(path), SETTINGS)) == {Alteration.ROTATED, Alteration.ALPHA}


@pytest.mark.parametrize("under", [0, 255])
def test_resizing_blackens_what_is_clear(under: int, tmp_path: Path) -> None:
    """White under transparent pixels stays white, unless the trainer resizes the image."""
    path = tmp_path / "clear.png"
    image = with_alpha(np.random.default_rng(3), 0, under)
    image.paste((under, under, under, 0), (0, 0, 32, 32))
    image.save(path)
    facts = probe_image(path)
    for limit in (768 * 768, image.width * image.height, image.width * image.height // 2):
        settings = replace(SETTINGS, image_max_pixels=limit)
        corner = read_image(path, image_max_pixels=limit).getpixel((0, 0))
        assert bool(alterations(facts, settings)) == (corner != (255, 255, 255)), (limit, corner)
