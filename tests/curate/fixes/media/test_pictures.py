"""Mended pictures against what Pillow shows of the originals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from curate.fixes.media.copies import MEDIA_FIXERS
from curate.fixes.media.depth import scale_to_8_bits
from curate.fixes.protocol import CannotMend
from tests.curate.fixes.media.making import mend, photo
from validators.probes.image import probe_image

ORIENTATION, MAKER, WHEN = 0x0112, 0x010F, 0x9003
PROFILE = b"a colour profile, long enough " * 9
KINDS: dict[str, tuple[str, str, dict[str, Any], float]] = {
    "jpeg": ("jpg", "RGB", {"quality": 90}, 4),
    "jpeg 4:2:2": ("jpg", "RGB", {"subsampling": 1}, 4),
    "jpeg 4:4:4": ("jpg", "RGB", {"subsampling": 0, "quality": 100}, 2),
    "progressive jpeg": ("jpeg", "RGB", {"progressive": True}, 4),
    "rgb jpeg": ("jpg", "RGB", {"keep_rgb": True}, 4),
    "grey jpeg": ("jpg", "L", {}, 4),
    "cmyk jpeg": ("JPG", "CMYK", {}, 6),
    "png": ("png", "RGB", {}, 0),
    "palette png": ("png", "P", {}, 0),
    "clear palette png": ("png", "P", {"transparency": 3}, 0),
    "alpha png": ("png", "RGBA", {}, 0),
    "deep png": ("png", "I;16", {}, 0),
    "lossless webp": ("webp", "RGBA", {"lossless": True, "exact": True}, 0),
    "webp": ("webp", "RGB", {"quality": 80}, 3),
}


def drawn(mode: str, width: int = 160, height: int = 112) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(photo(width, height)[..., 0].astype(np.uint16) * 251)
    image = Image.fromarray(photo(width, height)).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(photo(width, height)[..., 1]))
    return image


def turned(path: Path, image: Image.Image, orientation: int, **how: Any) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKER] = orientation, "Maker"
    exif.get_ifd(0x8769)[WHEN] = "2024:01:02 03:04:05"
    image.save(path, exif=exif, icc_profile=PROFILE, **how)
    return path


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_orientation_is_in_the_pixels(tmp_path: Path, kind: str, orientation: int) -> None:
    suffix, mode, how, near = KINDS[kind]
    source = turned(tmp_path / f"turned.{suffix}", drawn(mode), orientation, **how)
    with Image.open(mend("IMG301", source)) as copy, Image.open(source) as original:
        wanted = ImageOps.exif_transpose(original)
        assert (copy.format, copy.mode, copy.size) == (original.format, original.mode, wanted.size)
        apart = np.asarray(copy.convert("RGBA")).astype(int) - np.asarray(wanted.convert("RGBA"))
        assert np.abs(apart).mean() <= near / 4
        assert np.abs(apart).max() <= near * 3
        assert copy.getexif().get(ORIENTATION) is None
        assert copy.getexif()[MAKER] == "Maker"
        assert copy.getexif().get_ifd(0x8769)[WHEN] == "2024:01:02 03:04:05"
        assert copy.info["icc_profile"] == PROFILE
        assert bool(copy.info.get("progressive")) == bool(how.get("progressive"))


def test_a_jpeg_whose_blocks_stay_whole_loses_nothing_that_is_seen(tmp_path: Path) -> None:
    for orientation in range(2, 9):
        source = turned(tmp_path / f"{orientation}.jpg", drawn("L"), orientation, quality=60)
        with Image.open(mend("IMG301", source)) as copy, Image.open(source) as original:
            apart = np.asarray(copy).astype(int) - np.asarray(ImageOps.exif_transpose(original))
            assert np.abs(apart).max() <= 2
            assert np.abs(apart).mean() < 0.1


def test_a_jpeg_keeps_its_quantisation(tmp_path: Path) -> None:
    for orientation, kept in ((3, True), (6, False)):
        source = turned(tmp_path / f"{orientation}.jpg", drawn("RGB"), orientation, quality=37)
        with Image.open(mend("IMG301", source)) as copy, Image.open(source) as original:
            tables = original.quantization  # type: ignore[attr-defined]
            wanted = {n: list(np.reshape(table, (8, 8)).T.ravel()) for n, table in tables.items()}
            assert copy.quantization == (tables if kept else wanted)  # type: ignore[attr-defined]


def test_orientation_in_xmp_alone(tmp_path: Path) -> None:
    packet = b'<x:xmpmeta xmlns:tiff="t"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    source = tmp_path / "xmp.jpg"
    drawn("RGB").save(source, xmp=packet)
    assert probe_image(source).altered == "rotated"
    with Image.open(mend("IMG301", source)) as copy:
        assert copy.size == (112, 160)
        assert "xmp" not in copy.info


def test_a_second_picture_beside_the_first_is_left_out(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    source = tmp_path / "pair.jpg"
    drawn("RGB").save(source, format="MPO", save_all=True, append_images=[drawn("RGB", 80, 56)], exif=exif)
    with Image.open(mend("IMG301", source)) as copy:
        assert (copy.format, copy.size) == ("JPEG", (112, 160))


def test_broken_exif_is_dropped(tmp_path: Path) -> None:
    source = turned(tmp_path / "turned.jpg", drawn("RGB"), 6)
    source.write_bytes(source.read_bytes().replace(b"Maker", b"\xff\xfe\x00\xffM"))
    assert probe_image(mend("IMG301", source)).altered == ""


@pytest.mark.parametrize(
    ("values", "suffix", "at", "grey"),
    [
        (np.array([[0, 65535, 257 * 100]], np.uint16), "png", (2, 0), 100),
        (np.array([[0, 4095, 2048]], np.uint16), "tif", (2, 0), 128),
        (np.array([[0, 1023, 512]], np.uint16), "png", (2, 0), 128),
        (np.array([[0, 1, 0.5]], np.float32), "tif", (2, 0), 128),
        (np.array([[-100, 100, 0]], np.float32), "tif", (2, 0), 128),
        (np.array([[-1, 70000, 70000]], np.int32), "tif", (0, 0), 0),
    ],
)
def test_depth_is_scaled(
    tmp_path: Path, values: np.ndarray[Any, Any], suffix: str, at: tuple[int, int], grey: int
) -> None:
    source = tmp_path / f"deep.{suffix}"
    Image.fromarray(np.repeat(values, 3, axis=0)).save(source)
    with Image.open(mend("IMG303", source)) as copy:
        assert copy.mode == "L"
        assert copy.getpixel(at) == grey


def test_what_is_no_number_becomes_black(tmp_path: Path) -> None:
    source = tmp_path / "holes.tif"
    Image.fromarray(np.array([[np.nan, np.inf, -100, 100]], np.float32)).save(source)
    scale_to_8_bits(source, tmp_path / "scaled.png")
    with Image.open(tmp_path / "scaled.png") as copy:
        assert list(copy.getdata()) == [0, 255, 0, 255]


def test_values_that_are_all_the_same_have_no_range(tmp_path: Path) -> None:
    source = tmp_path / "flat.tif"
    Image.new("I", (9, 9), 70000).save(source)
    with pytest.raises(CannotMend, match="the same"):
        MEDIA_FIXERS["IMG303"][0].make(source, tmp_path / "none")


def test_white_is_zero_is_turned_round(tmp_path: Path) -> None:
    source = tmp_path / "inverted.tif"
    Image.fromarray(np.array([[0, 257 * 55, 65535]], np.uint16)).save(source, tiffinfo={262: 0})
    with Image.open(source) as image:
        assert image.tag_v2[262] == 0  # type: ignore[attr-defined]
    with Image.open(mend("IMG303", source)) as copy:
        assert [copy.getpixel((x, 0)) for x in (0, 1, 2)] == [255, 200, 0]


def test_depth_keeps_the_orientation_for_its_own_fixer(tmp_path: Path) -> None:
    source = turned(tmp_path / "both.png", drawn("I;16"), 6)
    assert probe_image(source).altered == "rotated,depth"
    scaled = mend("IMG303", source)
    assert probe_image(scaled).altered == "rotated"
    assert probe_image(mend("IMG301", scaled)).altered == ""


@pytest.mark.parametrize(("mode", "suffix"), [("RGBA", "png"), ("LA", "png"), ("RGBA", "webp"), ("RGBA", "tif")])
def test_alpha_is_laid_on_white(tmp_path: Path, mode: str, suffix: str) -> None:
    image = Image.new(mode, (40, 30), (0,) * len(mode))
    image.paste(Image.new(mode, (10, 10), (*(60,) * (len(mode) - 1), 128)), (5, 5))
    source = tmp_path / f"clear.{suffix}"
    image.save(source, **({"lossless": True} if suffix == "webp" else {}))
    with Image.open(mend("IMG302", source)) as copy:
        assert copy.mode == ("L" if mode == "LA" else "RGB")
        shown = copy.convert("L")
        assert shown.getpixel((0, 0)) == 255
        assert abs(int(shown.getpixel((8, 8))) - 157) <= 1  # type: ignore[arg-type]


def test_white_letters_are_not_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (5, 5, 20, 9))
    source = tmp_path / "logo.png"
    image.save(source)
    with pytest.raises(CannotMend, match="drawn in white"):
        MEDIA_FIXERS["IMG302"][0].make(source, tmp_path / "none")


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_clear_colour_of_a_palette_is_laid_on_white(tmp_path: Path, suffix: str) -> None:
    image = Image.new("P", (40, 30), 0)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.paste(1, (0, 0, 9, 9))
    source = tmp_path / f"clear.{suffix}"
    image.save(source, transparency=0)
    with Image.open(mend("IMG302", source)) as copy:
        assert [copy.getpixel((x, x)) for x in (2, 20)] == [(200, 0, 0), (255, 255, 255)]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_the_first_frame_stays_as_the_trainer_sees_it(tmp_path: Path, suffix: str) -> None:
    shots = [Image.fromarray(photo(90, 80, seed)) for seed in range(3)]
    source = tmp_path / f"moving.{suffix}"
    shots[0].save(source, save_all=True, append_images=shots[1:])
    with Image.open(mend("IMG304", source)) as copy, Image.open(source) as original:
        assert getattr(copy, "n_frames", 1) == 1
        assert np.array_equal(np.asarray(copy.convert("RGB")), np.asarray(original.convert("RGB")))


@pytest.mark.parametrize(
    ("suffix", "mode", "how"),
    [
        ("jpg", "RGB", {}),
        ("jpg", "CMYK", {}),
        ("png", "RGB", {}),
        ("png", "P", {}),
        ("png", "I;16", {}),
        ("gif", "P", {"interlace": 0}),
        ("gif", "P", {"interlace": 0, "transparency": 0}),
        ("bmp", "RGB", {}),
        ("tif", "RGB", {}),
    ],
)
def test_what_decodes_of_a_cut_picture(tmp_path: Path, suffix: str, mode: str, how: dict[str, Any]) -> None:
    whole = tmp_path / f"whole.{suffix}"
    drawn(mode, 320, 400).save(whole, **how)
    content = whole.read_bytes()
    source = tmp_path / f"cut.{suffix}"
    source.write_bytes(content[: int(len(content) * 0.99)])
    with Image.open(mend("IMG101", source)) as copy, Image.open(whole) as original:
        apart = np.asarray(copy.convert("RGB")).astype(int) - np.asarray(original.convert("RGB"))
        assert (np.abs(apart).max(axis=2) > (12 if suffix == "jpg" else 0)).mean() < 0.05
    source.write_bytes(content[: int(len(content) * 0.8)])
    with pytest.raises(CannotMend, match=r"only \d+% of the picture"):
        MEDIA_FIXERS["IMG101"][0].make(source, tmp_path / "none")


def test_a_dark_picture_is_not_taken_for_a_missing_one(tmp_path: Path) -> None:
    whole = Image.new("RGB", (320, 400))
    whole.paste(Image.fromarray(photo(320, 30)))
    source = tmp_path / "night.png"
    whole.save(source, compress_level=0)
    source.write_bytes(source.read_bytes()[:-3000])
    with Image.open(mend("IMG101", source)) as copy:
        assert np.array_equal(np.asarray(copy), np.asarray(whole))


def test_a_picture_with_later_frames_keeps_them(tmp_path: Path) -> None:
    shots = [Image.fromarray(photo(90, 80, seed)) for seed in range(3)]
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    source = tmp_path / "moving.webp"
    shots[0].save(source, save_all=True, append_images=shots[1:], exif=exif.tobytes())
    assert probe_image(source).altered == "rotated,first-frame"
    with pytest.raises(CannotMend, match="several frames"):
        MEDIA_FIXERS["IMG301"][0].make(source, tmp_path / "none")
    upright = mend("IMG301", mend("IMG304", source))
    assert probe_image(upright).altered == ""
