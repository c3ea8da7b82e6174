"""Sizes, counts, durations and rates of videos against the trainer's own decoding."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.probes.clips import CONTAINERS, copy_packets, patched, turned, write_clip, write_fragmented
from tests.probes.trainer import read_video
from tests.scaffold import make_clip
from validators.budgets.resize import Size, decoded_frames, regularize
from validators.probes.facts import Alteration, Health, MediaFacts, alterations
from validators.probes.video import probe_video
from validators.settings import TrainerSettings

SETTINGS = TrainerSettings()


def decoded(path: Path) -> int:
    """Frames that the trainer's loop sees, 0 where it raises."""
    import av

    try:
        container = av.open(str(path))
        stream = next(stream for stream in container.streams if stream.type == "video")
        if stream.codec_context is None:  # PyAV then ends the whole process with a segmentation fault
            return 0
        container.seek(0)
        return sum(1 for _ in container.decode(stream))
    except (av.FFmpegError, StopIteration, OSError, ValueError):
        return 0


def counted(facts: MediaFacts) -> int:
    """Frames by the facts."""
    if facts.health is not Health.OK:
        return 0
    return facts.frames if facts.decoded is None else facts.decoded


def agree(path: Path) -> MediaFacts:
    """Facts, after holding all of them against the trainer's reading at several rates and limits."""
    facts = probe_video(path)
    assert counted(facts) == decoded(path), facts
    if facts.health is not Health.OK:
        return facts
    for fps, maxlen in ((2.0, 128), (5.0, 8), (0.3, 3)):
        if facts.frames and facts.duration is None:
            with pytest.raises(TypeError):
                read_video(path)
            continue
        read = read_video(path, video_fps=fps, video_maxlen=maxlen)
        frames = read["videos"][0]
        assert len(frames) == decoded_frames(facts, fps, maxlen), (facts, fps, maxlen)
        if facts.duration is not None:
            assert read["durations"][0] == facts.duration
        if frames:
            size = regularize(Size(facts.width, facts.height), SETTINGS.video_max_pixels, SETTINGS.video_min_pixels)
            assert frames[0].size == (size.width, size.height)
    if facts.fps == 0 and not (facts.frames and facts.duration is None):
        with pytest.raises(TypeError):
            read_video(path, "qwen2_vl")
    return facts


@pytest.mark.parametrize(("ending", "codec"), [(end, codec) for end, codecs in CONTAINERS.items() for codec in codecs])
def test_containers_and_codecs(ending: str, codec: str, tmp_path: Path) -> None:
    """Each container and codec gives the frames, size and duration that the trainer gets."""
    for frames, size in ((1, (64, 48)), (5, (66, 50)), (25, (352, 200))):
        path = tmp_path / f"{frames}.{ending}"
        write_clip(path, codec, frames, size)
        agree(path)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4", "libvpx-vp9", "libsvtav1", "mjpeg"])
def test_whole_mp4s_need_no_decoding(codec: str, tmp_path: Path) -> None:
    """The common MP4 is known by its header alone."""
    path = tmp_path / "whole.mp4"
    write_clip(path, codec, 30)
    assert probe_video(path).decoded is None


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "mpeg4"])
@pytest.mark.parametrize("first", [1, 5, 8, 9, 16])
def test_trimmed_copies(codec: str, first: int, tmp_path: Path) -> None:
    """A copy that starts inside a video has as many frames as decoders give out."""
    whole = tmp_path / "whole.mp4"
    options = {"libx265": {"x265-params": "keyint=8:min-keyint=8:open-gop=1"}}.get(codec, {"g": "8"})
    write_clip(whole, codec, 24, **options)
    for ending in ("mp4", "mkv"):
        part = tmp_path / f"part.{ending}"
        copy_packets(whole, part, lambda number: number >= first)
        agree(part)


@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        ("mp4", "libx264"),
        ("mkv", "libx264"),
        ("avi", "mpeg4"),
        ("ts", "libx264"),
        ("webm", "libvpx-vp9"),
        ("flv", "flv1"),
    ],
)
def test_cut_videos(ending: str, codec: str, tmp_path: Path) -> None:
    """A video cut at any byte has the frames that still decode, or is unusable where the trainer raises."""
    whole = tmp_path / f"whole.{ending}"
    write_clip(whole, codec, 20)
    content = whole.read_bytes()
    cut = tmp_path / f"cut.{ending}"
    for length in {*np.random.default_rng(1).integers(1, len(content), 12), len(content) - 1}:
        cut.write_bytes(content[: int(length)])
        agree(cut)


def test_cut_mp4_with_its_index_in_front(tmp_path: Path) -> None:
    """An MP4 made for the web opens well when its end is missing: frames are counted by decoding."""
    import av

    path = tmp_path / "front.mp4"
    source = tmp_path / "whole.mp4"
    write_clip(source, "libx264", 24, g="4")
    with av.open(str(source)) as whole, av.open(str(path), "w", options={"movflags": "faststart"}) as front:
        copied = front.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(whole.streams.video[0]):
            if packet.dts is not None:
                packet.stream = copied
                front.mux(packet)
    assert agree(path).decoded is None
    content = path.read_bytes()
    for part in (0.9, 0.7, 0.5):
        path.write_bytes(content[: int(len(content) * part)])
        agree(path)


def test_edit_lists(tmp_path: Path) -> None:
    """Frames that an edit list hides are not counted."""
    path = tmp_path / "edited.mp4"
    write_clip(path, "libx264", 30, g="10")
    content = path.read_bytes()
    edits = {
        "starts late": patched(content, b"elst", 12, struct.pack(">i", 15 * 1024)),
        "ends early": patched(content, b"elst", 8, struct.pack(">I", 1200)),
        "has no end": patched(content, b"elst", 8, struct.pack(">I", 0)),
        "is void": patched(content, b"elst", 4, struct.pack(">I", 0)),
        "waits first": patched(content, b"elst", 12, struct.pack(">i", -1)),
    }
    for name, edited in edits.items():
        path.write_bytes(edited)
        facts = agree(path)
        if name in ("starts late", "ends early"):
            assert facts.decoded is not None and facts.decoded < facts.frames, name


def test_wrong_sizes_in_the_container(tmp_path: Path) -> None:
    """The size is that of the frames, whatever the container says."""
    path = tmp_path / "size.mp4"
    write_clip(path, "libx264", 8)
    content = path.read_bytes()
    for box, at, new in (
        (b"avc1", 24, struct.pack(">HH", 200, 100)),
        (b"tkhd", 76, struct.pack(">II", 99 << 16, 9 << 16)),
    ):
        path.write_bytes(patched(content, box, at, new))
        facts = agree(path)
        assert (facts.width, facts.height) == (64, 48)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, 1])
def test_rotation(degrees: int, tmp_path: Path) -> None:
    """A display matrix that is not upright is found in the header of MP4 and in the frames of Matroska."""
    path = tmp_path / "phone.mp4"
    write_clip(path, "libx264", 10)
    path.write_bytes(turned(path.read_bytes(), degrees))
    expected = (Alteration.ROTATED,) if degrees else ()
    facts = agree(path)
    assert alterations(facts, SETTINGS) == expected and facts.decoded is None
    for ending in ("mov", "mkv"):
        copy = tmp_path / f"copy.{ending}"
        copy_packets(path, copy, lambda number: True)
        assert alterations(agree(copy), SETTINGS) == expected


@pytest.mark.parametrize("ending", ["mkv", "webm", "ts", "fragmented.mp4"])
def test_streams_without_a_count(ending: str, tmp_path: Path) -> None:
    """Without a frame count the trainer takes the first video_maxlen frames: altered as soon as there are more."""
    path = tmp_path / f"stream.{ending}"
    if ending == "fragmented.mp4":
        write_fragmented(path, 12)
    else:
        write_clip(path, "libvpx" if ending == "webm" else "libx264", 12)
    facts = agree(path)
    assert facts.frames == 0 and facts.decoded == 12
    for maxlen in (8, 11, 12, 13):
        taken = len(read_video(path, video_maxlen=maxlen)["videos"][0])
        altered = alterations(facts, replace(SETTINGS, video_maxlen=maxlen))
        assert altered == ((Alteration.FIRST_FRAMES,) if taken < 12 else ())


def test_files_with_other_streams(tmp_path: Path) -> None:
    """The first video stream counts wherever it stands; cover art is one, sound alone is none."""
    import av
    from PIL import Image

    clip = tmp_path / "sound first.mp4"
    with av.open(str(clip), "w") as container:
        sound = container.add_stream("aac", rate=16000)
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height = 64, 48
        for _ in range(6):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(sound.encode(frame))
        for stream in (video, sound):
            container.mux(stream.encode())
    assert agree(clip).frames == 6
    alone = tmp_path / "alone.mp4"
    make_clip(alone, frames=0, sound=True)
    assert agree(alone).health is Health.NO_STREAM
    picture = tmp_path / "cover.jpg"
    Image.new("RGB", (40, 30), "red").save(picture)
    note = b"\0image/jpeg\0\3\0" + picture.read_bytes()
    frame_bytes = b"APIC" + struct.pack(">I", len(note)) + b"\0\0" + note
    length = bytes(len(frame_bytes) >> shift & 127 for shift in (21, 14, 7, 0))
    music = tmp_path / "music.mp3"
    make_music(music)
    music.write_bytes(b"ID3\3\0\0" + length + frame_bytes + music.read_bytes())
    facts = agree(music)
    assert (facts.width, facts.height, facts.frames, facts.decoded, facts.fps) == (40, 30, 0, 1, 0.0)


def make_music(path: Path) -> None:
    """A short mp3."""
    import soundfile

    soundfile.write(path, np.random.default_rng(0).standard_normal(8000) * 0.1, 16000, format="MP3")


def test_mp4_without_duration(tmp_path: Path) -> None:
    """Frames without a duration stop the trainer, and the facts say so."""
    path = tmp_path / "timeless.mp4"
    write_clip(path, "mpeg4", 10)
    path.write_bytes(path.read_bytes().replace(b"mdhd", b"free"))
    facts = agree(path)
    assert facts.frames == 10 and facts.duration is None


def test_hostile_boxes_give_facts(tmp_path: Path) -> None:
    """Any bytes in an MP4's tables give facts or a reason, and where frames were counted, the trainer's count."""
    path = tmp_path / "hostile.mp4"
    write_clip(path, "libx264", 9)
    content = path.read_bytes()
    rng = np.random.default_rng(4)
    start = content.index(b"moov")
    trusted = 0
    for _ in range(200):
        changed = bytearray(content)
        for place in rng.integers(start, len(content), rng.integers(1, 4)):
            changed[place] = rng.choice([0, 255, rng.integers(256)])
        path.write_bytes(changed)
        facts = probe_video(path)
        trusted += facts.decoded is None and facts.health is Health.OK
        if facts.decoded is not None or facts.health is not Health.OK:
            assert counted(facts) == decoded(path), facts
    assert trusted < 200
