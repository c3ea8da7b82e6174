"""Files that point elsewhere are not followed, and files that kill a decoder kill nothing here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.probes.clips import CONTAINERS, write_clip
from tests.probes.sounds import write_coded
from tests.probes.test_video_exact import agree, counted, decoded
from tests.probes.trainer import read_video
from validators.model import MediaKind
from validators.probes import apart
from validators.probes.audio import probe_audio
from validators.probes.cache import ProbeCache
from validators.probes.facts import Health
from validators.probes.opening import is_dangerous
from validators.probes.video import probe_video

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.ts\n"
MAKERS: dict[str, Callable[[Path], object]] = {
    "list.m3u8": lambda path: path.write_text(HLS + "#EXT-X-ENDLIST\n"),
    "list.mp4": lambda path: path.write_text("ffconcat version 1.0\nfile 'real.mp4'\n"),
    "frame%d.png": lambda path: Image.new("RGB", (64, 48)).save(path),
}
STILL = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "tiff": "TIFF", "avif": "AVIF"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what the playlists name."""
    for ending in ("ts", "mp4"):
        write_clip(tmp_path / f"real.{ending}", "libx264", 5)
    for number in range(3):
        Image.new("RGB", (64, 48), (number, 0, 0)).save(tmp_path / f"frame{number}.png")
    return tmp_path


@pytest.mark.parametrize("name", MAKERS)
def test_the_trainer_follows_what_the_check_does_not(name: str, folder: Path) -> None:
    MAKERS[name](folder / name)
    assert decoded(folder / name)
    assert "videos" in read_video(folder / name)
    for whole in (False, True):
        for kind in (MediaKind.VIDEO, MediaKind.AUDIO):
            assert ProbeCache(whole).look(kind, folder / name).health is Health.PLAYLIST


def test_a_live_playlist_ends(folder: Path) -> None:
    """FFmpeg reads a playlist without an end again and again."""
    (folder / "live.m3u8").write_text(HLS)
    script = "import sys; from pathlib import Path; from validators.probes.video import probe_video as probe\n"
    script += "sys.stdout.write(probe(Path(sys.argv[1])).health)"
    command = [sys.executable, "-c", script, folder / "live.m3u8"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "playlist"


def test_standard_input_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile 'pipe:0'\n")
    (tmp_path / "list.m3u8").write_text(HLS.replace("real.ts", "pipe:0") + "#EXT-X-ENDLIST\n")
    for path in tmp_path.iterdir():
        assert probe_video(path).health in (Health.PLAYLIST, Health.UNREADABLE)
        assert probe_audio(path).health in (Health.PLAYLIST, Health.UNREADABLE)


@pytest.mark.parametrize("ending", STILL)
def test_pictures_as_videos(ending: str, tmp_path: Path) -> None:
    """The process of its own gives the facts that this one would, and the trainer's frames."""
    path = tmp_path / f"still.{ending}"
    Image.effect_noise((64, 48), 40).convert("RGB").save(path, STILL[ending])
    assert is_dangerous(path)
    facts = ProbeCache().look(MediaKind.VIDEO, path)
    assert facts == agree(path)
    assert counted(facts) == decoded(path) == 1


def test_clips_and_sounds_stay_in_this_process(tmp_path: Path) -> None:
    import numpy as np

    for name, codec in (("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.gif", "gif"), ("a.avi", "mjpeg")):
        write_clip(tmp_path / name, codec, 5)
        assert not is_dangerous(tmp_path / name)
    assert write_coded(tmp_path / "a.m4a", np.random.default_rng(0), "aac", 16000, 1)
    assert not is_dangerous(tmp_path / "a.m4a")


def test_damaged_pictures_kill_nothing(tmp_path: Path) -> None:
    """Some of these end a process that opens them; here each of them gives facts."""
    import random

    path = tmp_path / "still.avif"
    path.write_bytes((Path(__file__).parent / "dies.avif").read_bytes())
    facts = ProbeCache().look(MediaKind.VIDEO, path)
    assert facts.health is not Health.OK
    script = "import sys, av; av.open(sys.argv[1])"
    ran = subprocess.run([sys.executable, "-c", script, path], capture_output=True, check=False)
    if ran.returncode < 0:
        assert facts.detail == "the decoder dies of it (SIGSEGV)"
    content = path.read_bytes()
    for seed in range(5):
        path.write_bytes(content[: random.Random(seed).randrange(100, len(content))])
        assert isinstance(ProbeCache().look(MediaKind.AUDIO, path).health, Health)


def test_an_endless_look_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "still.png"
    Image.new("RGB", (8, 8)).save(path)
    monkeypatch.setattr(apart, "MOST_SECONDS", 0.01)
    facts = ProbeCache().look(MediaKind.VIDEO, path)
    assert facts.health is Health.UNREADABLE and "does not end" in facts.detail


def test_previews_fixes_and_copies_leave_such_pictures_alone(tmp_path: Path) -> None:
    from curate.media.make.containers import read
    from curate.media.make.mono import resampled
    from curate.media.make.refusal import CannotMake
    from curate.media.uniform import Uniform
    from validators.previews.audio import preview_audio
    from validators.previews.image import NoPreview
    from validators.previews.video import preview_video

    path = Path(__file__).parent / "dies.avif"
    with path.open("rb") as file, pytest.raises(NoPreview, match="still picture"):
        preview_audio(file)
    with path.open("rb") as file, pytest.raises((OSError, ValueError, RuntimeError)):  # Pillow's words
        preview_video(file)
    Image.new("RGB", (8, 8)).save(tmp_path / "still.png")
    with (tmp_path / "still.png").open("rb") as file:
        assert preview_video(file).width == 8
    with pytest.raises(CannotMake, match="still picture"), read(path):
        pass
    with pytest.raises(CannotMake, match="still picture"):
        Uniform(remux="mp4").video(path, tmp_path)
    with pytest.raises(CannotMake, match="still picture"):
        next(resampled(path))


def test_lists_of_files_are_followed_by_no_one(tmp_path: Path) -> None:
    """Neither by name nor as an open file: steps, previews and codecs see nothing of what a list names."""
    from curate.steps.sightings import by_av
    from curate.steps.soundprint import print_of
    from curate.views.codecs import codec_of
    from tests.scaffold import make_tone
    from validators.probes.opening import Elsewhere, opened_file

    write_clip(tmp_path / "clip.mkv", "mpeg4", 12)
    make_tone(tmp_path / "tone.wav", 5)
    for name, kind in (("clip.mkv", MediaKind.VIDEO), ("tone.wav", MediaKind.AUDIO)):
        playlist = tmp_path / f"{kind.value}.ts"
        playlist.write_text(f"ffconcat version 1.0\nfile {name}\n")
        with playlist.open("rb") as file:
            assert codec_of(kind, file) == ""
            with pytest.raises(Elsewhere), opened_file(file):
                pass
    with pytest.raises(Elsewhere):
        list(by_av(tmp_path / "video.ts", [0.25]))
    assert print_of(tmp_path / "audio.ts") is None
    assert print_of(tmp_path / "tone.wav") is not None


def test_files_give_the_same_facts_through_other_hands(tmp_path: Path) -> None:
    """What PyAV tells of a file that it reads by itself and by our hands is the same."""
    import av

    from validators.probes.opening import opened

    def told(container: av.container.InputContainer) -> list[object]:
        video = container.streams.video[0]
        frames = [(frame.pts, frame.width, frame.height) for frame in container.decode(video)]
        known = (video.frames, video.duration, video.time_base, video.average_rate, video.start_time)
        return [container.format.name, container.duration, container.bit_rate, container.size, known, frames]

    for ending, codecs in CONTAINERS.items():
        path = tmp_path / f"clip.{ending}"
        write_clip(path, codecs[0], 12)
        with av.open(str(path)) as one, opened(path) as other:
            assert told(one) == told(other)
