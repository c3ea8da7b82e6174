"""Mended media as the real trainer's plugin reads them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.agreement.media_factory import Clip, make_clip
from tests.agreement.viewer import picture_altered
from tests.curate.fixes.media.making import frames, mend, photo
from tests.probes.clips import turned, write_clip
from tests.probes.sounds import write_coded
from tests.probes.trainer import plugin, read_image, read_video

pytestmark = pytest.mark.trainer


def test_pictures_are_trained_on_as_they_are_seen(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = tmp_path / "turned.jpg"
    Image.fromarray(photo(160, 112)).save(upright, exif=exif, quality=90)
    deep = tmp_path / "deep.png"
    Image.fromarray(photo(160, 112)[..., 0].astype(np.uint16) * 257).save(deep)
    clear = tmp_path / "clear.png"
    image = Image.fromarray(photo(160, 112)).convert("RGBA")
    image.putalpha(Image.fromarray(photo(160, 112)[..., 1]))
    image.save(clear)
    for code, source in (("IMG301", upright), ("IMG303", deep), ("IMG302", clear)):
        assert picture_altered(str(source))
        assert not picture_altered(str(mend(code, source)))
    with Image.open(upright) as original:
        wanted = np.asarray(ImageOps.exif_transpose(original)).astype(int)
    assert np.abs(np.asarray(read_image(mend("IMG301", upright))) - wanted).mean() < 1


def test_a_broken_picture_is_read(tmp_path: Path) -> None:
    source = tmp_path / "cut.jpg"
    Image.fromarray(photo(320, 400)).save(source)
    source.write_bytes(source.read_bytes()[:-60])
    with pytest.raises(OSError, match="truncated"):
        read_image(source)
    assert read_image(mend("IMG101", source)).size == (320, 400)


def test_frames_are_sampled_over_the_whole_clip(tmp_path: Path) -> None:
    source = tmp_path / "stream.mkv"
    write_clip(source, "libx264", 120, rate=30)
    limits = {"video_maxlen": 8, "video_fps": 2.0}
    copy = mend("VID301", source)
    shown = frames(source)
    first = [np.asarray(frame).astype(int) for frame in read_video(source, **limits)["videos"][0]]
    spread = [np.asarray(frame).astype(int) for frame in read_video(copy, **limits)["videos"][0]]
    assert [np.array_equal(*pair) for pair in zip(first, shown[:8], strict=True)] == [True] * 8
    wanted = [shown[number] for number in np.linspace(0, 119, 8).astype(np.int32)]
    assert [np.array_equal(*pair) for pair in zip(spread, wanted, strict=True)] == [True] * 8


def test_a_phone_video_is_trained_on_upright(tmp_path: Path) -> None:
    plain, source = tmp_path / "plain.mp4", tmp_path / "phone.mp4"
    make_clip(plain, Clip(20, codec="libx264", size=(96, 64)), random.Random(1))
    source.write_bytes(turned(plain.read_bytes(), 90))
    lying, upright = (read_video(path)["videos"][0] for path in (source, mend("VID302", source)))
    for one, other in zip(lying, upright, strict=True):
        assert np.abs(np.rot90(np.asarray(one).astype(int), -1) - np.asarray(other)).mean() < 2


def test_a_cut_video_is_read(tmp_path: Path) -> None:
    source = tmp_path / "cut.mp4"
    first = (("movflags", "+faststart"),)
    make_clip(source, Clip(60, codec="libx264", size=(160, 120), options=first, sound=6.0), random.Random(1))
    source.write_bytes(source.read_bytes()[: int(source.stat().st_size * 0.96)])
    with pytest.raises(Exception, match="Invalid data"):
        read_video(source)
    assert read_video(mend("VID101", source))["videos"][0]


def test_a_mended_sound_is_heard(tmp_path: Path) -> None:
    whole, source = tmp_path / "whole.mp3", tmp_path / "hole.mp3"
    assert write_coded(whole, np.random.default_rng(1), "libmp3lame", 16000, 1, 64000)
    content = whole.read_bytes()
    middle = len(content) // 2
    source.write_bytes(content[:middle] + b"\x55" * 40 + content[middle + 40 :])

    def heard(path: Path) -> np.ndarray:
        return plugin()._regularize_audios([str(path)], sampling_rate=16000)["audios"][0]

    with pytest.raises(RuntimeError):
        heard(source)
    assert np.array_equal(heard(mend("AUD101", source))[:25000], heard(whole)[:25000])
