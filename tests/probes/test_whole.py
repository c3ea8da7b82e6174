"""What decoding from end to end tells, against the trainer's own reading of the same files."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.probes.clips import CONTAINERS, patched, write_clip
from tests.probes.trainer import plugin, read_image, read_video
from tests.scaffold import Overlay
from tests.unusual import blocks, make_unusual, write_video
from validators.budgets.resize import decoded_frames
from validators.engine import CheckOptions, check
from validators.model import MediaKind, Outcome
from validators.probes import cache, whole_audio, whole_image, whole_video
from validators.probes.cache import ProbeCache
from validators.probes.facts import Health, MediaFacts, Trait, traits_of
from validators.rules.rule import Depth

Project = Callable[[Overlay], Path]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unusual media."""
    folder = tmp_path_factory.mktemp("media")
    make_unusual(folder)
    return folder


def facts_of(kind: MediaKind, path: Path, whole: bool = True) -> MediaFacts:
    """The facts of one file."""
    return ProbeCache(whole).facts(kind, path.name, path.parent)


def traits(kind: MediaKind, path: Path) -> dict[Trait, float]:
    """The traits of one file."""
    facts = facts_of(kind, path)
    assert facts.health is Health.OK, facts
    return traits_of(facts.traits)


def readable(read: Callable[[], object]) -> bool:
    """Whether the trainer reads it."""
    try:
        read()
    except Exception:
        return False
    return True


def flipped(content: bytes, rng: np.random.Generator, count: int) -> bytes:
    """The content with some wrong bytes after its first hundred."""
    damaged = bytearray(content)
    for at in rng.integers(100, len(content), count):
        damaged[at] ^= int(rng.integers(1, 256))
    return bytes(damaged)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_damaged_images_are_refused_as_the_trainer_refuses_them(kind: str, tmp_path: Path) -> None:
    """Wrong bytes anywhere: decoding tells whether Pillow, as the trainer calls it, goes on."""
    picture = Image.effect_noise((200, 150), 60).convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
    seen = set()
    for seed in range(24):
        path = tmp_path / f"{seed}.bin"
        path.write_bytes(flipped(buffer.getvalue(), np.random.default_rng(seed), 1 + seed % 5))
        facts = facts_of(MediaKind.IMAGE, path)
        assert (facts.health is Health.OK) == readable(partial(read_image, path)), (seed, facts)
        seen.add(facts.health)
    assert seen  # both for most formats, one for those without check sums


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4", "libvpx-vp9", "mjpeg"])
def test_damaged_videos_give_what_the_trainer_gets(codec: str, tmp_path: Path) -> None:
    """Wrong bytes among the frames: whether decoding ends, and how many frames the trainer samples."""
    whole = tmp_path / "whole.mp4"
    write_clip(whole, codec, 30)
    start = whole.read_bytes().index(b"mdat")
    for seed in range(12):
        rng = np.random.default_rng(seed)
        content = bytearray(whole.read_bytes())
        end = start + int.from_bytes(content[start - 4 : start], "big") - 4
        for at in rng.integers(start + 4, end, 1 + seed % 4):
            content[at : at + 40] = rng.bytes(len(content[at : min(at + 40, end)]))
        path = tmp_path / f"{seed}.mp4"
        path.write_bytes(bytes(content))
        facts = facts_of(MediaKind.VIDEO, path)
        if facts.health is Health.BROKEN:
            assert not readable(partial(read_video, path)) or not read_video(path)["videos"][0], facts
            continue
        for fps, most in ((2.0, 128), (10.0, 128), (10.0, 7)):
            frames = read_video(path, video_fps=fps, video_maxlen=most)["videos"][0]
            assert len(frames) == decoded_frames(facts, fps, most), (seed, facts)


@pytest.mark.parametrize(("ending", "codec"), [(end, codec) for end, codecs in CONTAINERS.items() for codec in codecs])
def test_sound_videos_are_not_called_damaged(ending: str, codec: str, tmp_path: Path) -> None:
    """The strict reading says nothing of files that encoders wrote, nor do the frames of those look blank or frozen."""
    path = tmp_path / f"clip.{ending}"
    write_clip(path, codec, 20)
    facts = facts_of(MediaKind.VIDEO, path)
    assert facts.health is facts_of(MediaKind.VIDEO, path, whole=False).health and not facts.traits


def test_damage_is_smoothed_over_by_the_trainer(media: Path) -> None:
    """VID104: all frames are there, and some are not what was recorded."""
    damaged, sound = (read_video(media / name, video_fps=10.0)["videos"][0] for name in ("smeared.mp4", "moving.mp4"))
    assert len(damaged) == len(sound) == 30
    number = traits(MediaKind.VIDEO, media / "smeared.mp4")[Trait.DAMAGED]
    differs = [bool(np.abs(np.asarray(a).astype(int) - np.asarray(b)).max() > 20) for a, b in zip(damaged, sound)]  # noqa: B905
    assert differs.index(True) >= number and Trait.DAMAGED not in traits(MediaKind.VIDEO, media / "moving.mp4")


def test_bombs_stop_the_trainer_and_lesser_giants_do_not(
    tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IMG102: Pillow raises above twice its limit, and warns above it."""
    assert facts_of(MediaKind.IMAGE, media / "bomb.png").health is Health.BOMB
    with pytest.raises(Image.DecompressionBombError):
        read_image(media / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for side, opens in ((44, True), (45, False)):
        path = tmp_path / f"{side}.png"
        Image.new("L", (side, side)).save(path)
        assert (facts_of(MediaKind.IMAGE, path).health is Health.OK) is opens
        if opens:
            with pytest.warns(Image.DecompressionBombWarning):
                read_image(path)
        else:
            with pytest.raises(Image.DecompressionBombError):
                read_image(path)


def test_half_a_jpeg_trains(media: Path) -> None:
    """IMG312: Pillow gives no error, and grey from where the data end."""
    share = traits(MediaKind.IMAGE, media / "half.jpg")[Trait.GREY_TAIL]
    pixels = np.asarray(read_image(media / "half.jpg", image_max_pixels=10**9))
    rows = round(share * len(pixels))
    assert 0.3 < share < 0.7 and (pixels[-rows:] == 128).all() and not (pixels[-rows - 1] == 128).all()


def test_profiles_and_inks_are_not_honoured(media: Path, tmp_path: Path) -> None:
    """IMG308, IMG309: the numbers of a file with a profile are those without, and ink is turned upside down."""
    with Image.open(media / "gamut.jpg") as image:
        image.load()
        bare = np.asarray(image)
    assert (np.asarray(read_image(media / "gamut.jpg")) == bare).all()
    assert traits(MediaKind.IMAGE, media / "gamut.jpg")[Trait.PROFILE] >= 16
    Image.new("CMYK", (40, 40), (255, 0, 0, 0)).save(tmp_path / "cyan.tiff")
    assert read_image(tmp_path / "cyan.tiff").getpixel((0, 0)) == (0, 255, 255)


def test_the_profile_of_the_screen_is_none_to_name(tmp_path: Path) -> None:
    """sRGB, and a profile that nothing can be made of."""
    from PIL import ImageCms

    screen = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (screen, bytes(500), b"x" * 200):
        Image.effect_noise((40, 40), 40).convert("RGB").save(tmp_path / "a.jpg", icc_profile=profile)
        assert traits(MediaKind.IMAGE, tmp_path / "a.jpg") == {}


@pytest.mark.parametrize("quality", [15, 20, 30, 40, 49])
def test_jpeg_quality_is_that_of_the_encoder(quality: int, tmp_path: Path) -> None:
    """IMG310: what libjpeg was asked for."""
    for mode in ("RGB", "L"):
        Image.effect_noise((64, 64), 40).convert(mode).save(tmp_path / "a.jpg", quality=quality)
        assert abs(traits(MediaKind.IMAGE, tmp_path / "a.jpg")[Trait.QUALITY] - quality) < 3


def test_stretched_and_bright_videos_train_as_coded(media: Path, tmp_path: Path) -> None:
    """VID305, VID308: neither the shape of pixels nor the transfer function changes what the trainer gets."""
    assert traits(MediaKind.VIDEO, media / "anamorphic.mp4")[Trait.ANAMORPHIC] == pytest.approx(4 / 3, abs=1e-4)
    limits = {"image_min_pixels": 1, "image_max_pixels": 10**9}
    assert read_video(media / "anamorphic.mp4", **limits)["videos"][0][0].size == (64, 48)
    path = tmp_path / "a.mp4"
    write_video(path, codec="mpeg4", color_trc=1, color_primaries=1, colorspace=1)
    ordinary, frames = path.read_bytes(), {}
    for curve in (1, 16, 18):
        path.write_bytes(patched(ordinary, b"colr", 6, curve.to_bytes(2, "big")))
        frames[curve] = np.stack([np.asarray(frame) for frame in read_video(path)["videos"][0]])
        assert traits(MediaKind.VIDEO, path).get(Trait.HDR) == (curve if curve > 1 else None)
    assert (frames[1] == frames[16]).all() and (frames[1] == frames[18]).all()


def test_uneven_times_are_seen_in_headers_and_by_decoding(media: Path) -> None:
    """VID306: an MP4's tables and the frames of a Matroska tell the same; the trainer counts frames."""
    header = traits_of(facts_of(MediaKind.VIDEO, media / "uneven.mp4", whole=False).traits)[Trait.DRIFT]
    decoded = traits(MediaKind.VIDEO, media / "uneven.mkv")[Trait.DRIFT]
    times = np.array([number if number < 20 else number * 10 for number in range(30)])
    truth = np.abs(times / times[-1] - np.arange(30) / 29).max()
    assert header == pytest.approx(truth, abs=0.02) and decoded == pytest.approx(truth, abs=0.02)


def test_the_first_of_several_streams_trains(tmp_path: Path) -> None:
    """VID307: its frames are those of a file that has nothing else."""
    for count in (1, 2):
        write_video(tmp_path / f"{count}.mkv", codec="mpeg4", streams=count)
    assert traits(MediaKind.VIDEO, tmp_path / "2.mkv") == {Trait.STREAMS: 2}
    both, single = (read_video(tmp_path / name)["videos"][0] for name in ("2.mkv", "1.mkv"))
    assert all((np.asarray(a) == np.asarray(b)).all() for a, b in zip(both, single, strict=True))


def test_one_moving_spot_is_no_frozen_video(tmp_path: Path) -> None:
    """VID311: a still picture is, a spot that wanders over it is not."""

    def spot(number: int) -> np.ndarray:
        picture = blocks(0).copy()
        picture[number : number + 3, 10:13] ^= 255
        return picture

    for codec in ("libx264", "libx265", "mpeg4", "libvpx-vp9"):
        for picture, frozen in ((spot, False), (lambda _: blocks(0), True)):
            write_video(tmp_path / "a.mp4", picture, codec=codec)
            assert (Trait.FROZEN in traits(MediaKind.VIDEO, tmp_path / "a.mp4")) is frozen


def heard(path: Path) -> np.ndarray:
    """The samples that the trainer hands to a feature extractor."""
    return np.asarray(plugin()._regularize_audios([str(path)], sampling_rate=16000)["audios"][0])


def test_sounds_that_the_trainer_does_not_hear(media: Path) -> None:
    """AUD102, AUD201, AUD303, AUD306: what arrives at the extractor."""
    pytest.importorskip("torchcodec")
    assert (
        np.isnan(heard(media / "broken.wav")).sum() == traits(MediaKind.AUDIO, media / "broken.wav")[Trait.NOT_FINITE]
    )
    assert np.abs(heard(media / "opposite.wav")).max() < 1e-3
    assert traits(MediaKind.AUDIO, media / "opposite.wav")[Trait.CANCELLED] > 60
    assert len(heard(media / "phone.wav")) == 16000
    for name in ("stump.wav", "cut.mp3"):
        stated = traits(MediaKind.AUDIO, media / name)[Trait.SHORTENED]
        assert stated == pytest.approx(2, abs=0.1) and len(heard(media / name)) < 1.2 * 16000


def test_whisper_stops_listening(media: Path, tmp_path: Path) -> None:
    """AUD301: the extractor's mask ends at its window, and the plugin asks for nothing else."""
    pytest.importorskip("torchcodec")
    from tests.agreement.processors import qwen2_audio

    processor = qwen2_audio.processor(tmp_path / "model")
    window = processor.feature_extractor.chunk_length
    inputs: Any = plugin("qwen2_audio")._get_mm_inputs([], [], [str(media / "lecture.flac")], processor)
    hop = processor.feature_extractor.hop_length
    assert int(inputs["feature_attention_mask"].sum()) == window * 16000 // hop
    assert len(heard(media / "lecture.flac")) > window * 16000


@pytest.fixture
def served(media: Path) -> Iterator[str]:
    """The address of a server of this folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(media)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_addresses_are_fetched_for_videos_and_sounds_only(served: str, media: Path) -> None:
    """MED102, MED303: FFmpeg follows an address, Pillow does not; nothing is fetched by the check."""
    pytest.importorskip("torchcodec")
    limits = {"image_max_pixels": 10**6, "image_min_pixels": 1}
    video, sound, image = f"{served}/moving.mp4", f"{served}/blip.wav", f"{served}/tiny.png"
    assert len(plugin()._regularize_videos([video], video_fps=2.0, video_maxlen=8, **limits)["videos"][0])
    assert len(plugin()._regularize_audios([sound], sampling_rate=16000)["audios"][0])
    with pytest.raises(FileNotFoundError):
        plugin()._regularize_images([image], **limits)
    kinds = {video: MediaKind.VIDEO, sound: MediaKind.AUDIO, image: MediaKind.IMAGE}
    found = [ProbeCache().facts(kind, path, media).health for path, kind in kinds.items()]
    assert found == [Health.REMOTE, Health.REMOTE, Health.MISSING]


def row(tag: str, **lists: list[str]) -> dict[str, object]:
    """A row with one medium."""
    turns = [{"role": "user", "content": f"<{tag}>What is it?"}, {"role": "assistant", "content": "A thing."}]
    return {"messages": turns, **lists}


def test_decoding_corrects_the_outcome(project: Project) -> None:
    """A picture whose header is well trains by its header, and stops the trainer by its pixels."""
    rows = [row("image", images=["damaged.png"]), row("image", images=["cat.jpg"])]
    train = project({"data.json": json.dumps(rows)})
    outcomes = {}
    for depth in (Depth.HEADER, Depth.DECODE):
        report = check(train, CheckOptions(depth=depth, keep_rows=True))
        predictions = report.datasets[0].predictions
        assert predictions is not None
        outcomes[depth] = [predictions[number].outcome for number in range(2)]
    assert outcomes[Depth.HEADER] == [Outcome.TRAINED, Outcome.TRAINED]
    assert outcomes[Depth.DECODE] == [Outcome.CRASH_LOAD, Outcome.TRAINED]
    with pytest.raises(OSError, match=r"unrecognized data stream|broken data stream|truncated"):
        read_image(Path("damaged.png"))


def test_each_file_is_decoded_once_and_in_any_order(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows name it, in whatever batches; threads change nothing in the report."""
    names = ["cat.jpg", "blank.png", "half.jpg", "damaged.png", "webp.jpg"] * 6
    train = project({"data.json": json.dumps([row("image", images=[name]) for name in names])})
    looked: list[str] = []

    def count(path: Path, facts: MediaFacts) -> MediaFacts:
        looked.append(path.name)
        return whole_image.examine_image(path, facts)

    monkeypatch.setattr(cache, "EXAMINERS", {MediaKind.IMAGE: count})
    reports = [check(train, CheckOptions(depth=Depth.DECODE, batch_rows=size)) for size in (1, 7, 100)]
    assert reports[0].findings == reports[1].findings == reports[2].findings
    assert sorted(looked) == sorted([*set(names)] * 3)


def test_what_is_too_large_is_said_not_to_be_decoded(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MED304: bounds on pixels, frames and samples."""
    monkeypatch.setattr(whole_image, "MAX_PIXELS", 64 * 48 - 1)
    monkeypatch.setattr(whole_video, "MAX_COUNTED", 7)
    monkeypatch.setattr(whole_audio, "MAX_SAMPLES", 4000)
    assert traits(MediaKind.IMAGE, media / "blank.png") == {Trait.PARTLY: 0}
    video = facts_of(MediaKind.VIDEO, media / "moving.mp4")
    assert traits_of(video.traits) == {Trait.PARTLY: 7} and video.decoded is None
    assert 4000 <= traits(MediaKind.AUDIO, media / "lecture.flac")[Trait.PARTLY] < 20_000


def test_the_demo_has_nothing_unusual(root: Path) -> None:
    """Real photographs, clips and recordings raise no alarm."""
    kinds = {"images": MediaKind.IMAGE, "clips": MediaKind.VIDEO, "sounds": MediaKind.AUDIO}
    found = {
        path.name: facts_of(kind, path).traits
        for folder, kind in kinds.items()
        for path in sorted((root / "examples/demo/media" / folder).iterdir())
        if path.suffix != ".txt"
    }
    assert len(found) > 8 and not any(found.values()), found


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "video"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"something else", "no image format"),
    ],
)
def test_strangers_among_images_are_named(start: bytes, words: str, tmp_path: Path) -> None:
    """IMG101: Pillow says only that it cannot identify the file."""
    (tmp_path / "a.jpg").write_bytes(start + bytes(200))
    facts = facts_of(MediaKind.IMAGE, tmp_path / "a.jpg")
    assert facts.health is Health.UNREADABLE and words in facts.detail
    assert not readable(partial(read_image, tmp_path / "a.jpg"))


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg"])
def test_damaged_sounds_are_refused_as_the_trainer_refuses_them(ending: str, tmp_path: Path) -> None:
    """Wrong bytes anywhere: decoding raises nothing, and tells whether torchcodec goes on.

    Of FLAC that holds only where PyAV and torchcodec have the same FFmpeg: its parser takes a damaged frame for
    shorter, longer or none from one release to the next.
    """
    pytest.importorskip("torchcodec")
    import soundfile

    noise = np.random.default_rng(1).normal(0, 0.1, 24_000).clip(-1, 1)
    soundfile.write(tmp_path / f"whole.{ending}", noise, 16000)
    content = (tmp_path / f"whole.{ending}").read_bytes()
    for seed in range(12):
        path = tmp_path / f"{seed}.{ending}"
        path.write_bytes(flipped(content, np.random.default_rng(seed), 1 + seed % 6))
        facts = facts_of(MediaKind.AUDIO, path)
        if ending != "flac":
            assert (facts.health is Health.OK) == readable(partial(heard, path)), (seed, facts)


@pytest.mark.parametrize(("written", "stored"), [("CAFE\u0301.PNG", "caf\u00e9.png"), ("Cat.jpg", "cat.jpg")])
def test_names_in_other_letters_are_found(written: str, stored: str, project: Project) -> None:
    """MED002: capitals, and the two forms of é."""
    train = project({"data.json": json.dumps([row("image", images=[written])])})
    if not Path(stored).exists():
        Path(stored).write_bytes(Path("cat.jpg").read_bytes())
    (finding,) = check(train).findings
    assert finding.code == "MED002" and stored in finding.found and finding.outcome is Outcome.CRASH_LOAD


@pytest.mark.parametrize(("config", "window"), [({}, 30), ({"chunk_length": 3}, 3), ({"chunk_length": 300}, None)])
def test_the_window_is_that_of_the_models_files(config: dict[str, int], window: int | None, project: Project) -> None:
    """AUD301: chunk_length of preprocessor_config.json."""
    overlay = {"data.json": json.dumps([row("audio", audios=["lecture.flac"])])}
    overlay |= {"train.yaml": "template: qwen2_audio", "model/preprocessor_config.json": json.dumps(config)}
    found = [finding.found for finding in check(project(overlay)).findings if finding.code == "AUD301"]
    assert found == ([f"lecture.flac: 31.0 s, of which {window} s are heard"] if window else [])
