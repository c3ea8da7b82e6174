"""Mended videos against the frames of the originals."""

from __future__ import annotations

import random
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from curate.fixes.media.copies import MEDIA_FIXERS
from curate.fixes.protocol import CannotMend
from curate.media.make.streams import decoding_times
from tests.agreement.media_factory import Clip, make_clip
from tests.curate.fixes.media.making import frames, mend
from tests.probes.clips import patched, turned, write_clip, write_fragmented
from tests.scaffold import make_altered
from tests.scaffold import make_clip as make_plain_clip
from validators.probes.audio import probe_audio
from validators.probes.video import probe_video

COUNTLESS = [
    ("mkv", "libx264"),
    ("mkv", "libx265"),
    ("mkv", "libvpx-vp9"),
    ("mkv", "libsvtav1"),
    ("mkv", "mpeg4"),
    ("mkv", "ffv1"),
    ("webm", "libvpx-vp9"),
    ("ts", "libx264"),
    ("ts", "libx265"),
    ("ts", "mpeg2video"),
    ("flv", "libx264"),
    ("mpg", "mpeg2video"),
    ("nut", "mpeg4"),
]


def same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def packets(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(container.streams.video[0]) if packet.size]


@pytest.mark.parametrize(("container", "codec"), COUNTLESS)
def test_a_copy_states_its_frames(tmp_path: Path, container: str, codec: str) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"no {codec} here")
    if codec == "ffv1" and av.library_versions["libavformat"] < (62,):
        pytest.skip("FFmpeg before 8 has no name for ffv1 in MP4")
    source = tmp_path / f"clip.{container}"
    write_clip(source, codec, 40, rate=25)
    assert probe_video(source).frames == 0
    copy = mend("VID301", source)
    facts = probe_video(copy)
    assert (facts.frames, facts.width, facts.height) == (40, 64, 48)
    assert facts.duration == pytest.approx(1.6, abs=0.05)
    assert facts.fps == pytest.approx(25, rel=0.03)
    assert same(frames(copy), frames(source))
    copied = packets(copy)
    assert len(copied) == len(packets(source))
    assert all(one.dts < other.dts for one, other in pairwise(copied))
    with pytest.raises(CannotMend, match="nothing to mend"):
        MEDIA_FIXERS["VID301"][0].make(copy, tmp_path / "none")


def test_fragments_become_one_whole(tmp_path: Path) -> None:
    source = tmp_path / "fragments.mp4"
    write_fragmented(source, 50)
    copy = mend("VID301", source)
    assert probe_video(copy).frames == 50
    assert same(frames(copy), frames(source))


def test_odd_sides(tmp_path: Path) -> None:
    source = tmp_path / "odd.mkv"
    make_clip(source, Clip(9, size=(75, 101)), random.Random(1))
    assert same(frames(mend("VID301", source)), frames(source))


def test_uneven_times_stay(tmp_path: Path) -> None:
    source = tmp_path / "uneven.mkv"
    make_clip(source, Clip(33, codec="libx264", uneven=True), random.Random(1))

    def seconds(path: Path) -> list[float]:
        with av.open(str(path)) as container:
            return [float(frame.time) for frame in container.decode(video=0)]

    assert seconds(mend("VID301", source)) == pytest.approx(seconds(source), abs=0.001)


@pytest.mark.parametrize(("container", "codec"), [("mkv", "libx264"), ("ts", "libx264"), ("webm", "libvpx-vp9")])
def test_the_sound_comes_along(tmp_path: Path, container: str, codec: str) -> None:
    source = tmp_path / f"sounding.{container}"
    make_clip(source, Clip(38, codec=codec, sound=3.3), random.Random(1))
    copy = mend("VID301", source)
    with av.open(str(copy)) as output, av.open(str(source)) as original:
        starts = [float((stream.start_time or 0) * (stream.time_base or 0)) for stream in output.streams]
        wanted = [float((stream.start_time or 0) * (stream.time_base or 0)) for stream in original.streams]
    assert min(starts) == pytest.approx(0, abs=0.001)
    assert abs((starts[0] - starts[1]) - (wanted[0] - wanted[1])) < 0.03
    assert probe_audio(copy).samples == pytest.approx(probe_audio(source).samples, abs=1600)
    assert same(frames(copy), frames(source))


def test_subtitles_are_left_out(tmp_path: Path) -> None:
    plain = tmp_path / "plain.mkv"
    write_clip(plain, "libx264", 20)
    source = tmp_path / "subtitled.mkv"
    with av.open(str(plain)) as whole, av.open(str(source), "w") as output:
        output.add_stream("ass")
        video = output.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.size:
                packet.stream = video
                output.mux(packet)
    with av.open(str(source)) as original, av.open(str(mend("VID301", source))) as copy:
        assert [stream.type for stream in original.streams] == ["subtitle", "video"]
        assert [stream.type for stream in copy.streams] == ["video"]


@pytest.mark.parametrize(("container", "codec"), [("webm", "libvpx"), ("wmv", "wmv2"), ("flv", "flv1")])
def test_what_an_mp4_cannot_hold(tmp_path: Path, container: str, codec: str) -> None:
    source = tmp_path / f"clip.{container}"
    write_clip(source, codec, 12)
    with pytest.raises(CannotMend, match="an MP4 cannot hold"):
        MEDIA_FIXERS["VID301"][0].make(source, tmp_path / "none.mp4")
    assert list(tmp_path.iterdir()) == [source]
    copy = mend("VID301", source, which=1)
    assert probe_video(copy).frames == 12
    for wanted, frame in zip(frames(source), frames(copy), strict=True):
        assert np.abs(frame - wanted).mean() < 3


def test_decoding_times_are_in_order_and_not_late() -> None:
    rng = random.Random(4)
    for _ in range(200):
        shown = rng.sample(range(1000), rng.randint(0, 40))
        due = decoding_times(shown)
        assert all(one < other for one, other in pairwise(due))
        assert all(one <= other for one, other in zip(due, shown, strict=True))


@pytest.mark.parametrize(
    ("clip", "rotation"),
    [
        (Clip(25, codec="libx264", size=(96, 64), sound=2.0), 90),
        (Clip(12, size=(96, 64)), 180),
        (Clip(12, codec="libx264", size=(96, 64), uneven=True), 270),
        (Clip(12, size=(96, 64)), 1),
        (Clip(5, size=(75, 101)), 90),
    ],
)
def test_rotation_is_in_the_frames(tmp_path: Path, clip: Clip, rotation: int) -> None:
    plain, source = tmp_path / "plain.mp4", tmp_path / "phone.mp4"
    make_clip(plain, clip, random.Random(1))
    source.write_bytes(turned(plain.read_bytes(), rotation))
    copy = mend("VID302", source)
    facts = probe_video(copy)
    assert (facts.frames, facts.altered) == (clip.frames, "")
    assert facts.duration == pytest.approx(probe_video(source).duration, abs=0.06)
    seen = [frame[:, ::-1] if rotation == 1 else np.rot90(frame, -rotation // 90) for frame in frames(source)]
    for wanted, frame in zip(seen, frames(copy), strict=True):
        assert frame.shape == wanted.shape
        assert np.abs(frame - wanted).mean() < 3
    if clip.sound:
        assert probe_audio(copy).samples == probe_audio(source).samples


def test_a_turn_askew_is_left(tmp_path: Path) -> None:
    plain, source = tmp_path / "plain.mp4", tmp_path / "askew.mp4"
    make_plain_clip(plain, frames=5)
    source.write_bytes(patched(plain.read_bytes(), b"tkhd", 40, struct.pack(">5i", 46341, 46341, 0, -46341, 46341)))
    with pytest.raises(CannotMend, match="right angles"):
        MEDIA_FIXERS["VID302"][0].make(source, tmp_path / "none.mp4")


def test_the_end_of_a_cut_video_is_left_out(tmp_path: Path) -> None:
    whole, source = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    first = (("movflags", "+faststart"),)
    make_clip(whole, Clip(60, codec="libx264", size=(160, 120), options=first, sound=6.0), random.Random(1))
    content = whole.read_bytes()
    source.write_bytes(content[: int(len(content) * 0.96)])
    assert probe_video(source).health == "broken"
    copy = mend("VID101", source)
    facts = probe_video(copy)
    assert 57 <= facts.frames < 60
    assert same(frames(copy), frames(whole)[: facts.frames])
    source.write_bytes(content[: int(len(content) * 0.9)])
    with pytest.raises(CannotMend, match=r"only \d+% of its frames"):
        MEDIA_FIXERS["VID101"][0].make(source, tmp_path / "none.mp4")


def test_frames_that_no_copy_reaches(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    make_plain_clip(tmp_path / "media/clip.mp4", frames=30)
    make_altered(tmp_path / "media")
    with pytest.raises(CannotMend, match="only 3 of its 30 frames can be reached"):
        MEDIA_FIXERS["VID103"][0].make(tmp_path / "media/timeless.mp4", tmp_path / "none.mp4")


def test_a_duration_of_nothing_is_computed(tmp_path: Path) -> None:
    plain, source = tmp_path / "plain.mp4", tmp_path / "timeless.mp4"
    make_plain_clip(plain, frames=30)
    source.write_bytes(patched(plain.read_bytes(), b"mdhd", 16, bytes(4)))
    assert probe_video(source).duration == 0
    copy = mend("VID103", source)
    assert probe_video(copy).duration == pytest.approx(3)
    assert same(frames(copy), frames(source))
