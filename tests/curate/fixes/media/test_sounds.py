"""Mended sounds against what is left of the originals."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from curate.fixes.media.copies import MEDIA_FIXERS
from curate.fixes.protocol import CannotMend
from tests.curate.fixes.media.making import mend
from tests.probes.sounds import write_coded
from tests.scaffold import make_tone
from validators.probes.audio import probe_audio


def must_be_unreadable(source: Path) -> None:
    """FFmpeg 8.1 reads on where 8.0, the newest that the trainer may have (av<=16), gives up."""
    if probe_audio(source).health != "unreadable":
        assert av.library_versions["libavformat"] > (62, 3, 100)
        pytest.skip("this FFmpeg reads it")


@pytest.mark.parametrize("stated", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_length_that_was_left_open(tmp_path: Path, stated: int) -> None:
    whole, source = tmp_path / "whole.wav", tmp_path / "open.wav"
    make_tone(whole, seconds=1.0)
    content = whole.read_bytes()
    source.write_bytes(content[:40] + stated.to_bytes(4, "little") + content[44:20001])
    must_be_unreadable(source)
    copy = mend("AUD101", source)
    heard, rate = soundfile.read(copy, dtype="int16")
    assert rate == 16000
    assert heard.tobytes() == content[44:20000]
    assert probe_audio(copy).samples == 9978


def test_a_sound_that_was_cut(tmp_path: Path) -> None:
    whole, source = tmp_path / "whole.wav", tmp_path / "cut.wav"
    make_tone(whole, seconds=1.0, channels=2)
    content = whole.read_bytes()
    source.write_bytes(content[: int(len(content) * 0.97) | 1])
    must_be_unreadable(source)
    copy = mend("AUD101", source)
    assert copy.read_bytes()[44:] == content[44 : 44 + len(copy.read_bytes()) - 44]
    source.write_bytes(content[: int(len(content) * 0.6) | 1])
    with pytest.raises(CannotMend, match=r"only \d+% of the sound"):
        MEDIA_FIXERS["AUD101"][0].make(source, tmp_path / "none.wav")


@pytest.mark.parametrize(("suffix", "codec"), [("mp3", "libmp3lame"), ("m4a", "aac"), ("aac", "aac")])
def test_silence_where_a_packet_fails(tmp_path: Path, suffix: str, codec: str) -> None:
    whole, source = tmp_path / f"whole.{suffix}", tmp_path / f"hole.{suffix}"
    assert write_coded(whole, np.random.default_rng(1), codec, 16000, 1, 64000)
    content = whole.read_bytes()
    middle = len(content) // 2
    source.write_bytes(content[:middle] + b"\x55" * 40 + content[middle + 40 :])
    must_be_unreadable(source)
    heard, rate = soundfile.read(mend("AUD101", source), dtype="float32")
    with av.open(str(whole)) as container:
        wanted = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert rate == 16000
    assert abs(len(heard) - len(wanted)) <= 2048
    assert np.array_equal(heard[:25000], wanted[:25000])


def test_a_sound_without_samples(tmp_path: Path) -> None:
    source = tmp_path / "none.wav"
    make_tone(source, seconds=0)
    with pytest.raises(CannotMend, match="no samples"):
        MEDIA_FIXERS["AUD101"][0].make(source, tmp_path / "copy.wav")
