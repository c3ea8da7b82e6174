"""Sample counts and rates against torchaudio.load, which the trainer reads sounds with."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.probes.sounds import CODED, PLAIN, RATES, noise, write_coded, write_plain
from validators.budgets.sound import resampled
from validators.probes.audio import probe_audio, wav_facts
from validators.probes.facts import Health


def heard(path: Path) -> tuple[int, int] | None:
    """Samples a channel and rate as the trainer gets them, None where torchaudio raises."""
    import torchaudio

    try:
        sound, rate = torchaudio.load(str(path))
    except Exception:  # whatever it raises stops the trainer
        return None
    return sound.shape[1], rate


def probed(path: Path) -> tuple[int, int] | None:
    """The same by the header, None where the facts call the file unusable."""
    facts = probe_audio(path)
    return (facts.samples, facts.rate) if facts.health is Health.OK else None


@pytest.mark.parametrize(("kind", "subtype"), [(kind, name) for kind, names in PLAIN.items() for name in names])
def test_plain_formats(kind: str, subtype: str, tmp_path: Path) -> None:
    """Files of libsndfile's formats have the length that torchaudio gives them."""
    rng = np.random.default_rng(len(subtype) + len(kind))
    written = 0
    for rate in RATES:
        for channels in (1, 2, 6):
            path = tmp_path / f"{rate}-{channels}.{'wav' if kind in ('wavex', 'rf64') else kind}"
            if write_plain(path, rng, kind, subtype, rate, channels):
                written += heard(path) is not None
                assert probed(path) == heard(path), path.name
    assert written


@pytest.mark.parametrize(("kind", "codec"), [(kind, name) for kind, names in CODED.items() for name in names])
def test_coded_formats(kind: str, codec: str, tmp_path: Path) -> None:
    """Lead-in, padding and stated lengths of compressed sounds count as torchaudio counts them."""
    rng = np.random.default_rng(len(codec) + len(kind))
    written = 0
    for rate in RATES:
        for channels in (1, 2) if kind == "flv" else (1, 2, 6):  # PyAV's FFmpeg 8 reads no 5.1 in FLV
            path = tmp_path / f"{rate}-{channels}.{kind}"
            if write_coded(path, rng, codec, rate, channels):
                written += heard(path) is not None
                assert probed(path) == heard(path), path.name
    assert written


@pytest.mark.parametrize(
    ("kind", "codec"),
    [("mp3", "libmp3lame"), ("m4a", "aac"), ("ogg", "libvorbis"), ("opus", "libopus"), ("mkv", "aac"), ("ts", "aac")],
)
def test_cut_sounds(kind: str, codec: str, tmp_path: Path) -> None:
    """A sound cut at any byte is as long as torchaudio finds it, or unusable where torchaudio raises."""
    rng = np.random.default_rng(5)
    path = tmp_path / f"whole.{kind}"
    assert write_coded(path, rng, codec, 16000 if codec != "libopus" else 48000, 2, 20_000)
    whole = path.read_bytes()
    cut = tmp_path / f"cut.{kind}"
    for length in rng.integers(1, len(whole), 25):
        cut.write_bytes(whole[: int(length)])
        assert probed(cut) == heard(cut), length


def chunk(name: bytes, body: bytes, length: int | None = None, padded: bool = True) -> bytes:
    """A RIFF chunk, its stated length at will."""
    stated = struct.pack("<I", len(body) if length is None else length)
    return name + stated + body + (b"\0" if padded and len(body) % 2 else b"")


def wave(*chunks: bytes, length: int | None = None) -> bytes:
    """A WAV file."""
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


def pcm(channels: int, bits: int, tag: int = 1, rate: int = 16000, valid: int | None = None, inner: int = 1) -> bytes:
    """A fmt chunk."""
    block = channels * bits // 8
    body = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
    if tag == 0xFFFE:
        guid = struct.pack("<H", inner) + bytes.fromhex("000000001000800000aa00389b71")
        body += struct.pack("<HHI", 22, valid or bits, 3) + guid
    return chunk(b"fmt ", body)


FORMS = {
    "plain": lambda form, data: wave(form, chunk(b"data", data)),
    "no padding": lambda form, data: wave(form, chunk(b"data", data, padded=False)),
    "notes after": lambda form, data: wave(form, chunk(b"data", data), chunk(b"LIST", b"INFOISFT\x04\0\0\0abc\0")),
    "notes before": lambda form, data: wave(
        chunk(b"JUNK", b"x" * 9), form, chunk(b"fact", b"1234"), chunk(b"data", data)
    ),
    "longer than the file": lambda form, data: wave(form, chunk(b"data", data, len(data) + 999)),
    "shorter than the file": lambda form, data: wave(form, chunk(b"data", data, len(data) // 2)),
    "streamed": lambda form, data: wave(form, chunk(b"data", data, 0xFFFFFFFF), length=0xFFFFFFFF),
    "length never written": lambda form, data: wave(form, chunk(b"data", data, 0), length=0),
    "wrong riff length": lambda form, data: wave(form, chunk(b"data", data), length=7),
    "rubbish after": lambda form, data: wave(form, chunk(b"data", data)) + b"\x07rubbish" * 5,
    "two data chunks": lambda form, data: wave(form, chunk(b"data", data), chunk(b"data", b"ab" * 1200)),
    "data first": lambda form, data: wave(chunk(b"data", data), form),
    "no format": lambda form, data: wave(chunk(b"data", data)),
}
FORMATS = [
    pcm(1, 8), pcm(1, 16), pcm(2, 16), pcm(1, 24), pcm(2, 24), pcm(1, 32), pcm(6, 16), pcm(1, 32, 3), pcm(2, 64, 3),
    pcm(2, 16, 0xFFFE), pcm(1, 32, 0xFFFE, inner=3), pcm(1, 32, 0xFFFE, valid=24), pcm(1, 16, rate=0), pcm(9, 16),
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_odd_waves(form: str, tmp_path: Path) -> None:
    """WAV files whose lengths lie, in any format of samples, count as FFmpeg counts them."""
    rng = np.random.default_rng(len(form))
    path = tmp_path / "odd.wav"
    for header in FORMATS:
        for size in (0, 1, 2, 3, 48, 101, 4097, 4096 * 3, 9984):
            path.write_bytes(FORMS[form](header, rng.bytes(size)))
            assert probed(path) == heard(path), (header, size)


def test_whole_waves_need_no_decoding(tmp_path: Path) -> None:
    """The common WAV is known by its header alone."""
    path = tmp_path / "whole.wav"
    for header in FORMATS[:10]:
        path.write_bytes(FORMS["notes after"](header, bytes(9600 * 2)))
        with path.open("rb") as file:
            assert wav_facts(file.fileno()) is not None


@settings(max_examples=200, deadline=None)
@given(
    samples=st.integers(1, 3_000_000) | st.integers(1, 1 << 31),
    rate=st.sampled_from([*RATES, 12000, 88200, 96000, 192000, 44056, 7999]),
    target=st.sampled_from([16000, 24000, 22050, 8000]),
)
def test_resampled_length(samples: int, rate: int, target: int) -> None:
    """The budget's length after resampling is torchaudio's, for any length and pair of rates."""
    import torch
    import torchaudio

    shape = torchaudio.functional.resample(torch.empty(1, samples, device="meta"), rate, target).shape
    assert resampled(samples, rate, target) == shape[1]


def test_noise_is_loud_enough() -> None:
    """The matrix holds real sound: silence would let encoders skip frames."""
    assert float(np.abs(noise(np.random.default_rng(0), 1000, 1)).max()) > 0.1
