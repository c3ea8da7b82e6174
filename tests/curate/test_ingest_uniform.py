"""Media made uniform: what is changed and how, what is left as it is and why, and the originals that stay."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from PIL import Image, ImageCms, ImageOps

from curate.cli import main
from curate.media.keeper import Changed
from curate.media.uniform import Uniform
from tests.curate.make_samples import SAMPLES, clip
from validators.engine import check
from validators.model import MediaKind
from validators.probes.video import probe_video

EVERYTHING = Uniform(exif=True, rgb=True, max_side=48, remux="mp4", audio="16k-mono")
GRADIENT = np.linspace(0, 255, 40 * 30 * 3).reshape(30, 40, 3).astype(np.uint8)


def picture(kind: str, mode: str = "RGB", **how: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(GRADIENT).convert(mode).save(out, kind, **how)
    return out.getvalue()


def turned(orientation: int, kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture(kind, exif=exif.tobytes())


def matroska(codec: str = "mpeg4", **how: Any) -> bytes:
    """Ten frames with a tone, in a container that states no number of frames."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=10, **how)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=16000)
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number * 20, np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        samples.rate = 16000
        container.mux(sound.encode(samples))
        container.mux(sound.encode())
        container.mux(stream.encode())
    return out.getvalue()


def sound(rate: int, channels: int, kind: str = "FLAC") -> bytes:
    out = io.BytesIO()
    wave = np.sin(np.arange(rate) * 2 * np.pi * 440 / rate) / 2
    soundfile.write(out, np.stack([wave] * channels, 1), rate, format=kind)
    return out.getvalue()


def changed(folder: Path, kind: MediaKind, name: str, data: bytes, uniform: Uniform = EVERYTHING) -> Changed | None:
    (folder / "in").mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return uniform.change()(kind, folder / name, folder / "in")


def copy_of(result: Changed | None) -> Path:
    assert result is not None and result.copy is not None, result
    return result.copy


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_turned_picture_is_upright(orientation: int, kind: str, tmp_path: Path) -> None:
    data = turned(orientation, kind)
    result = changed(tmp_path, MediaKind.IMAGE, "a.x", data, Uniform(exif=True))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    with Image.open(copy_of(result)) as image:
        assert image.getexif().get(0x0112, 1) == 1 and image.size == upright.size
        assert np.abs(np.asarray(image).astype(int) - np.asarray(upright)).mean() < (3 if kind == "JPEG" else 0.01)
    assert result is not None and result.words == "turned upright"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (picture("PNG", "L"), "L made RGB"),
        (picture("PNG", "P"), "P made RGB"),
        (picture("JPEG", "CMYK"), "CMYK made RGB"),
        (picture("PNG", "RGBA"), "RGBA laid on white"),
        (picture("PNG", "LA"), "LA laid on white"),
    ],
)
def test_other_colours_become_rgb(data: bytes, words: str, tmp_path: Path) -> None:
    result = changed(tmp_path, MediaKind.IMAGE, "a.x", data)
    with Image.open(copy_of(result)) as image, Image.open(io.BytesIO(data)) as before:
        assert image.mode == "RGB"
        assert np.abs(np.asarray(image).astype(int) - np.asarray(before.convert("RGB"))).mean() < 3
    assert result is not None and result.words == words


def test_clear_pixels_are_laid_on_white(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(out, "PNG")
    with Image.open(copy_of(changed(tmp_path, MediaKind.IMAGE, "a.png", out.getvalue()))) as image:
        assert image.getpixel((0, 0)) == (255, 255, 255)


def test_a_large_picture_keeps_its_shape(tmp_path: Path) -> None:
    result = changed(tmp_path, MediaKind.IMAGE, "a.jpg", picture("JPEG"), Uniform(max_side=20))
    with Image.open(copy_of(result)) as image:
        assert image.size == (20, 15)
    assert result is not None and result.words == "40 × 30 to 20 × 15"


def test_a_profile_goes_with_the_colours_it_is_of(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for mode, kept in (("P", True), ("CMYK", False), ("L", False)):
        kind = "JPEG" if mode == "CMYK" else "PNG"
        copy = copy_of(changed(tmp_path, MediaKind.IMAGE, "a.x", picture(kind, mode, icc_profile=srgb)))
        with Image.open(copy) as image:
            assert ("icc_profile" in image.info) is kept


def test_where_nothing_is_turned_the_tag_stays(tmp_path: Path) -> None:
    result = changed(tmp_path, MediaKind.IMAGE, "a.jpg", turned(6), Uniform(max_side=20))
    with Image.open(copy_of(result)) as image:
        assert image.size == (20, 15) and image.getexif()[0x0112] == 6


def test_what_is_uniform_is_left_without_words(tmp_path: Path) -> None:
    assert changed(tmp_path, MediaKind.IMAGE, "a.jpg", picture("JPEG")) is None
    assert changed(tmp_path, MediaKind.VIDEO, "a.mp4", clip()) is None
    assert changed(tmp_path, MediaKind.AUDIO, "a.wav", sound(16000, 1, "WAV")) is None
    assert changed(tmp_path, MediaKind.IMAGE, "b.png", picture("PNG", "RGBA"), Uniform(exif=True, max_side=40)) is None


def animated() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (60, 60), (number, 0, 0)) for number in (0, 200)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


def white_letters() -> bytes:
    out = io.BytesIO()
    image = Image.new("RGBA", (40, 30), (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), (5, 5, 20, 20))
    image.save(out, "PNG")
    return out.getvalue()


def cut_off(kind: str) -> bytes:
    """A video whose header states ten frames, or one second, without its last third."""
    out = io.BytesIO()
    with av.open(out, "w", format=kind) as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        noise = np.random.default_rng(0)
        for _ in range(10):
            frame = av.VideoFrame.from_ndarray(noise.integers(0, 255, (48, 64, 3), np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()[: len(out.getvalue()) * 2 // 3]


def deep() -> bytes:
    out = io.BytesIO()
    Image.fromarray((np.arange(1200).reshape(30, 40) * 50).astype(np.uint16)).save(out, "PNG")
    return out.getvalue()


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("kind", "name", "make", "reason"),
    [
        (MediaKind.IMAGE, "a.gif", animated, "several frames or pages"),
        (MediaKind.IMAGE, "a.png", deep, "I;16 has more than 8 bits"),
        (MediaKind.IMAGE, "a.jpg", lambda: turned(6)[:-200], "runcated"),
        (MediaKind.IMAGE, "a.jpg", lambda: b"nothing", "no image format that Pillow knows"),
        (
            MediaKind.IMAGE,
            "a.eps",
            lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "an EPS, which is a program",
        ),
        (MediaKind.IMAGE, "a.png", white_letters, "would not be seen on a white page"),
        (MediaKind.VIDEO, "a.mkv", lambda: matroska()[:200], ""),
        (MediaKind.VIDEO, "a.mkv", lambda: cut_off("matroska"), "of its length can be reached"),
        (MediaKind.VIDEO, "a.avi", lambda: cut_off("avi"), "of its 10 frames can be reached"),
        (MediaKind.VIDEO, "a.ts", lambda: PLAYLIST, ""),
        (MediaKind.AUDIO, "a.mp3", lambda: PLAYLIST, ""),
        (MediaKind.AUDIO, "a.wav", lambda: b"RIFF\x00\x00\x00\x00WAVE", ""),
    ],
)
def test_what_cannot_be_made_uniform_stays_and_says_why(
    kind: MediaKind, name: str, make: Callable[[], bytes], reason: str, tmp_path: Path
) -> None:
    data = make()
    result = changed(tmp_path, kind, name, data)
    assert result is not None and result.copy is None
    assert result.words.startswith("left as it is: ") and reason in result.words and len(result.words) > 16
    assert (tmp_path / name).read_bytes() == data


def test_a_stream_without_count_is_copied_into_an_mp4(tmp_path: Path) -> None:
    result = changed(tmp_path, MediaKind.VIDEO, "a.mkv", matroska())
    before, after = probe_video(tmp_path / "a.mkv"), probe_video(copy_of(result))
    assert (before.frames, after.frames) == (0, 10)
    with av.open(str(tmp_path / "a.mkv")) as one, av.open(str(copy_of(result))) as other:
        pictures = [[frame.to_ndarray(format="rgb24") for frame in each.decode(video=0)] for each in (one, other)]
        assert np.array_equal(*map(np.stack, pictures))
        assert len(other.streams.audio) == 1


def test_a_sound_becomes_16_khz_mono(tmp_path: Path) -> None:
    copy = copy_of(changed(tmp_path, MediaKind.AUDIO, "a.flac", sound(44100, 2)))
    samples, rate = soundfile.read(copy)
    assert (rate, samples.ndim) == (16000, 1) and abs(len(samples) - 16000) < 32
    spectrum = np.abs(np.fft.rfft(samples))
    assert abs(int(spectrum.argmax()) * 16000 / len(samples) - 440) < 2


@pytest.mark.parametrize(
    ("kind", "name", "make"),
    [
        (MediaKind.IMAGE, "a.jpg", lambda: turned(6)),
        (MediaKind.VIDEO, "a.mkv", matroska),
        (MediaKind.AUDIO, "a.flac", lambda: sound(44100, 2)),
    ],
)
def test_a_copy_is_the_same_each_time_and_uniform(
    kind: MediaKind, name: str, make: Callable[[], bytes], tmp_path: Path
) -> None:
    data = make()
    once = copy_of(changed(tmp_path, kind, name, data)).read_bytes()
    again = copy_of(changed(tmp_path, kind, name, data))
    assert again.read_bytes() == once
    assert changed(tmp_path, kind, f"again{again.suffix}", once) is None


def test_a_build_stores_the_copy_keeps_the_original_and_tells_the_ledger(tmp_path: Path) -> None:
    original = turned(6)
    (tmp_path / "a.jpg").write_bytes(original)
    (tmp_path / "b.gif").write_bytes(animated())
    (tmp_path / "c.png").write_bytes((SAMPLES / "media" / "blue.png").read_bytes())
    (tmp_path / "rows.csv").write_text("file_name,caption\na.jpg,A.\nb.gif,B.\nc.png,C.\n")
    recipe = {
        "version": 1,
        "target": "out",
        "normalise": {"exif": True, "rgb": True, "max_side": 48},
        "datasets": [{"name": "data", "sources": [{"path": "rows.csv"}]}],
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    assert main(["build", str(tmp_path / "recipe.yaml")]) == 0
    out = tmp_path / "out"
    first, second, third = (row["images"][0] for row in json.loads((out / "data.json").read_text()))
    with Image.open(out / first) as image:
        assert image.size == (30, 40)
    digest = hashlib.sha256(original).hexdigest()
    assert (out / "media" / "original" / digest[:2] / f"{digest}.jpg").read_bytes() == original
    assert (out / second).read_bytes() == animated() and (out / third).suffix == ".png"
    assert len(list((out / "media" / "original").rglob("*.*"))) == 1
    ledger = [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]
    assert [(entry["action"], entry["reason"]) for entry in ledger] == [
        ("changed", "a.jpg: turned upright"),
        ("changed", "b.gif: left as it is: several frames or pages, of which only the first would be left"),
    ]
    manifest = json.loads((out / "manifest.json").read_text())
    assert f"media/original/{digest[:2]}/{digest}.jpg" in manifest["files"]
    assert {finding.code for finding in check(out).findings} & {"IMG301"} == set()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert main(["build", str(tmp_path / "recipe.yaml")]) == 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
