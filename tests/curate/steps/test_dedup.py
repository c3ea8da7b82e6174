"""The step dedup: what was planted is found, and nothing else."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.steps import dedup as dedup_step
from curate.steps import sightings
from curate.steps.dedup import Dedup
from curate.steps.registry import read_steps
from curate.steps.run import Named
from curate.steps.sightings import by_av, sight_likeness, sighting_of
from curate.steps.soundprint import print_of, sound_likeness
from curate.steps.step import Chosen, Note, Surroundings
from curate.steps.twins import find_twins
from tests.curate.steps.scaffold import frame, load, row, run_all, store
from validators.errors import UsageFault
from validators.model import MediaKind
from validators.probes.video import probe_video

DEMO = Path(__file__).parents[3] / "examples" / "demo" / "media"


def dedup(**options: Any) -> Dedup:
    """The step as a recipe writes it."""
    ((_, step),) = ((named.name, named.step) for named in read_steps("steps", [{"dedup": options}]))
    assert isinstance(step, Dedup)
    return step


def chosen(step: Dedup, values: Sequence[Mapping[str, Any]], root: Path = Path("/nonexistent")) -> Chosen:
    """What the step makes of rows, in two batches."""
    rows = frame(values)
    around = Surroundings(root)
    half = len(rows) // 2
    traces = pl.concat([step.traces(part, around) for part in (rows[:half], rows[half:]) if len(part)])

    def again(numbers: pl.Series) -> Iterator[pl.DataFrame]:
        yield rows[numbers.to_list()]

    return step.compare(traces, again, around)


def left(step: Dedup, values: Sequence[Mapping[str, Any]], root: Path = Path("/nonexistent")) -> list[str]:
    """The ids that stay."""
    return [str(values[number]["id"]) for number in chosen(step, values, root).rows[""]]


def essay(seed: int, words: int = 60) -> str:
    """A text of its own."""
    chance = random.Random(seed)
    return " ".join("".join(chance.choices("abcdefghijklmnop", k=5)) for _ in range(words))


def said(number: int, question: str, answer: str, **media: Sequence[str]) -> dict[str, Any]:
    """A row of these words."""
    value = row(number, answer, **media)
    tags = "".join(f"<{kind[:-1]}>" * len(paths) for kind, paths in media.items())
    value["messages"][0]["content"] = tags + question
    return value


def test_equal_rows_are_one_and_the_note_names_the_one_that_is_kept() -> None:
    values = [said(0, "Hi", "Hello."), said(1, "Hi", "Hello."), said(2, "Hi", "Good day."), said(3, "Hi ", "Hello")]
    made = chosen(dedup(), values)
    assert made.rows[""].to_list() == [0, 2]
    assert made.notes == [Note(number, "dropped", "same text of 0000", "same text") for number in (1, 3)]


def test_near_texts_are_one_and_say_how_near() -> None:
    text = essay(1)
    values = [
        said(0, "Tell me of it.", text),
        said(1, "Tell me of it.", text + " Indeed so."),
        said(2, "Tell me.", essay(2)),
    ]
    made = chosen(dedup(text=0.8), values)
    assert made.rows[""].to_list() == [0, 2]
    (note,) = made.notes
    assert note.counted == "near text" and note.reason.startswith("near text 0.9") and note.reason.endswith("of 0000")


def test_another_answer_to_a_long_question_is_no_double() -> None:
    """The whole is alike, the answers are not."""
    values = [said(0, essay(1), "Red."), said(1, essay(1), "Blue.")]
    assert len(left(dedup(text=0.8), values)) == 2
    assert left(dedup(text=0.8, by="question"), values) == ["0000"]


def test_by_answer_looks_at_answers_alone() -> None:
    values = [said(0, "Who?", essay(5)), said(1, "Why?", essay(5)), said(2, "Who?", "Me.")]
    assert left(dedup(text="exact", by="answer"), values) == ["0000", "0002"]
    assert left(dedup(text=0.9, by="answer"), values) == ["0000", "0002"]


def test_tools_and_system_prompts_must_be_equal() -> None:
    values = [said(number, essay(1), essay(2)) for number in range(3)]
    values[1]["tools"] = '[{"name": "f"}]'
    values[2]["messages"].insert(0, {"role": "system", "content": "Be brief."})
    assert len(left(dedup(text=0.9), values)) == len(left(dedup(), values)) == 3


def test_the_same_text_about_other_media_is_no_double() -> None:
    values = [said(number, "What is it?", "A cat.", images=[f"{number % 2}.jpg"]) for number in range(3)]
    assert left(dedup(text="exact"), values) == ["0000", "0001"]
    assert left(dedup(text="exact", images="any"), values) == ["0000"]


def test_rows_without_what_is_compared_have_no_doubles() -> None:
    assert len(left(dedup(images="exact"), [row(1), row(2), row(3, images=["gone.png"])])) == 3


@pytest.mark.parametrize(
    ("keep", "kept"), [("first", "0000"), ("last", "0003"), ("longest", "0002"), ("most_media", "0001")]
)
def test_each_policy_keeps_its_row(keep: str, kept: str) -> None:
    values = [
        said(0, "Which?", essay(1)),
        said(1, "Which?", essay(1), images=["a.png"]),
        said(2, "Which?  " + " " * 40, essay(1)),
        said(3, "Which?", essay(1)),
    ]
    step = dedup(text="exact", images="any", keep=keep)
    assert left(step, values) == [kept]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 11), min_size=1, max_size=30),
    st.sampled_from(["longest", "most_media"]),
    st.sampled_from(["exact", 0.8]),
    st.randoms(use_true_random=False),
)
def test_one_of_each_stays_in_any_order(picks: list[int], keep: str, text: object, chance: random.Random) -> None:
    """Rows are copies of twelve conversations, each copy with a tail of its own where near texts are asked for."""
    tails = ["", " so", " it is"] if text != "exact" else [""]
    values = [said(number, "Tell.", essay(pick) + tails[number % len(tails)]) for number, pick in enumerate(picks)]
    step = dedup(text=text, keep=keep, seed=3)
    kept = left(step, values)
    assert sorted(picks[int(identity, 16)] for identity in kept) == sorted(set(picks))
    mixed = values.copy()
    chance.shuffle(mixed)
    assert set(left(step, mixed)) == set(kept)


def picture(seed: int) -> Image.Image:
    """Soft blobs: something to see."""
    noise = np.random.default_rng(seed).integers(0, 255, (9, 9, 3), np.uint8)
    return Image.fromarray(noise).resize((360, 270), Image.Resampling.BICUBIC)


def test_images_resized_cropped_or_compressed_again_are_one(tmp_path: Path) -> None:
    for number in range(6):
        picture(number).save(tmp_path / f"{number}.png")
    picture(0).resize((180, 135)).save(tmp_path / "small.png")
    picture(1).save(tmp_path / "again.jpg", quality=40)
    picture(2).crop((4, 3, 356, 267)).save(tmp_path / "cropped.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    names = [*(f"{number}.png" for number in range(6)), "small.png", "again.jpg", "cropped.png", "bad.png", "gone.png"]
    values = [said(number, f"What is {number}?", "So.", images=[name]) for number, name in enumerate(names)]
    made = chosen(dedup(images=0.97), values, tmp_path)
    assert made.rows[""].to_list() == [0, 1, 2, 3, 4, 5, 9, 10]
    assert [note.reason[:11] + note.reason[-4:] for note in made.notes] == [
        "near images0000", "near images0001", "near images0002"
    ]  # fmt: skip
    assert len(left(dedup(images="exact"), values, tmp_path)) == 11


def test_exact_media_are_compared_by_bytes_under_any_name(tmp_path: Path) -> None:
    picture(0).save(tmp_path / "a.png")
    picture(1).save(tmp_path / "c.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    values = [said(number, "What?", "It.", images=[name]) for number, name in enumerate(["a.png", "b.png", "c.png"])]
    made = chosen(dedup(), values, tmp_path)
    assert made.rows[""].to_list() == [0, 2] and made.notes[0].reason == "same text, same images of 0000"


def test_files_outside_the_media_root_are_not_opened(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    picture(0).save(tmp_path / "a.png")
    picture(0).save(root / "b.png")
    twins = find_twins(MediaKind.IMAGE, ["../a.png", "b.png"], root, 0.95)
    assert len(set(twins.group.values())) == 2


def encoded(source: Path, target: Path, codec: str, rate: int, loudness: float = 1.0, layout: str = "mono") -> Path:
    """A sound in another coding, rate and loudness."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream: Any = made.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
        for frame_ in given.decode(audio=0):
            for part in resampler.resample(frame_):
                samples = part.to_ndarray()
                quiet = (samples * loudness).astype(samples.dtype)
                out = av.AudioFrame.from_ndarray(quiet, format=part.format.name, layout=layout)
                out.sample_rate = rate
                made.mux(stream.encode(out))
        made.mux(stream.encode(None))
    return target


CODINGS = [("libmp3lame", "mp3", 22050, 0.4), ("libvorbis", "ogg", 44100, 0.7), ("flac", "flac", 16000, 0.5)]


@pytest.mark.parametrize("coding", CODINGS, ids=lambda coding: coding[1])
def test_sounds_in_another_coding_are_one_and_others_are_not(
    coding: tuple[str, str, int, float], tmp_path: Path
) -> None:
    codec, suffix, rate, loudness = coding
    sources = sorted(DEMO.joinpath("sounds").glob("[1-4].*"))
    sources = [path for path in sources if path.suffix != ".txt"]
    assert len(sources) == 4
    for path in sources:
        shutil.copy(path, tmp_path / path.name)
        encoded(path, tmp_path / f"again-{path.stem}.{suffix}", codec, rate, loudness)
    names = [path.name for path in sources] + [f"again-{path.stem}.{suffix}" for path in sources]
    values = [said(number, "What?", f"{number}", audios=[name]) for number, name in enumerate(names)]
    assert left(dedup(audios=0.7), values, tmp_path) == ["0000", "0001", "0002", "0003"]
    prints = [print_of(path) for path in sources]
    for one in range(4):
        for other in range(one):
            mine, its = prints[one], prints[other]
            assert mine is not None and its is not None and sound_likeness(mine, its) < 0.2


def test_silence_and_broken_sounds_have_no_print(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "silent.wav", np.zeros(32000), 16000)
    soundfile.write(tmp_path / "short.wav", np.random.default_rng(0).uniform(-1, 1, 400), 16000)
    (tmp_path / "bad.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    (tmp_path / "bad.mp3").write_bytes(b"\xff\xfb" * 300)
    for name in ("silent.wav", "short.wav", "bad.wav", "bad.mp3", "gone.wav"):
        assert print_of(tmp_path / name) is None


def video(target: Path, seed: int, seconds: float = 4, size: tuple[int, int] = (320, 240), crf: str = "18") -> Path:
    """A window that moves over a picture."""
    noise = np.random.default_rng(seed).integers(0, 255, (12, 40, 3), np.uint8)
    world = np.asarray(Image.fromarray(noise).resize((1600, 480), Image.Resampling.BICUBIC))
    with av.open(str(target), "w") as made:
        stream: Any = made.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"crf": crf}
        for number in range(round(seconds * 20)):
            view = Image.fromarray(world[100:340, number * 8 : number * 8 + 320]).resize(size)
            made.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(view), format="rgb24")))
        made.mux(stream.encode(None))
    return target


def test_videos_coded_again_resized_or_trimmed_are_one(tmp_path: Path) -> None:
    video(tmp_path / "0.mp4", 0)
    video(tmp_path / "1.mp4", 1)
    video(tmp_path / "coarse.mp4", 0, crf="32")
    video(tmp_path / "small.mp4", 0, size=(160, 120))
    video(tmp_path / "trimmed.mp4", 0, seconds=3.7)
    video(tmp_path / "half.mp4", 0, seconds=2)
    (tmp_path / "bad.mp4").write_bytes((tmp_path / "0.mp4").read_bytes()[:3000])
    names = ["0.mp4", "1.mp4", "coarse.mp4", "small.mp4", "trimmed.mp4", "half.mp4", "bad.mp4"]
    values = [said(number, "What?", f"{number}", videos=[name]) for number, name in enumerate(names)]
    assert left(dedup(videos=0.95), values, tmp_path) == ["0000", "0001", "0005", "0006"]


def test_clips_at_another_rate_and_size_are_one_and_others_are_not(tmp_path: Path) -> None:
    """Of all containers: decord finds other frames in AVI than are there."""
    clips = sorted(path for path in DEMO.joinpath("clips").iterdir() if path.suffix != ".txt")
    names = [path.name for path in clips]
    for path in clips:
        shutil.copy(path, tmp_path / path.name)
        slower(path, tmp_path / f"again-{path.stem}.mp4")
    names += [f"again-{path.stem}.mp4" for path in clips]
    values = [said(number, "What?", f"{number}", videos=[name]) for number, name in enumerate(names)]
    assert left(dedup(videos=0.95), values, tmp_path) == [f"{number:04x}" for number in range(len(clips))]


def slower(source: Path, target: Path) -> None:
    """A clip with ten frames a second, 240 pixels wide."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream: Any = made.add_stream("libx264", rate=10)
        height = 240 * given.streams.video[0].height // given.streams.video[0].width // 2 * 2
        stream.width, stream.height, stream.pix_fmt = 240, height, "yuv420p"
        last = -1
        for shown in given.decode(video=0):
            if int((shown.time or 0) * 10) != last:
                last = int((shown.time or 0) * 10)
                pixels = shown.reformat(240, height, "rgb24").to_ndarray()
                made.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        made.mux(stream.encode(None))


def test_media_are_found_in_any_order(tmp_path: Path) -> None:
    values = []
    for number in range(24):
        noisy = np.asarray(picture(number // 3), np.int16) + np.random.default_rng(number).integers(
            -2, 3, (270, 360, 3)
        )
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{number * 7 % 24}.png")
        values.append(said(number, "What?", f"{number}", images=[f"{number * 7 % 24}.png"]))
    step = dedup(images=0.97, keep="most_media", seed=1)
    kept = left(step, values, tmp_path)
    assert sorted(int(identity, 16) // 3 for identity in kept) == list(range(8))
    random.Random(0).shuffle(values)
    assert set(left(step, values, tmp_path)) == set(kept)


def test_pyav_sees_the_frames_that_decord_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("decord")
    path = video(tmp_path / "0.mp4", 0)
    facts = probe_video(path)
    one = sighting_of(path, facts)
    monkeypatch.setattr(sightings, "READERS", (by_av,))
    other = sighting_of(path, facts)
    assert one is not None and other is not None and one.times == other.times
    assert sight_likeness(one, other) > 0.995


def test_a_run_reads_rows_again_and_counts_by_kind(tmp_path: Path) -> None:
    values = [said(number, "Tell.", essay(number % 40) + " so" * (number % 3)) for number in range(120)]
    notes: list[str] = []
    outputs, (count,) = run_all(
        store(values, tmp_path / "rows.arrow"),
        [Named("dedup", dedup(text=0.8))],
        Surroundings(tmp_path),
        tmp_path,
        lambda step, identity, note: notes.append(identity),
    )
    assert (count.before, count.after, len(notes)) == (120, 40, 80)
    assert set(count.reasons) <= {"near text", "same text"}
    assert [value["id"] for value in load(outputs[""])] == [f"{number:04x}" for number in range(40)]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were compared with others so far."""
    texts: list[str] = []

    def counted(one: str, other: str) -> float:
        texts.append(one)
        return likeness(one, other)

    likeness = dedup_step.likeness
    monkeypatch.setattr(dedup_step, "likeness", counted)
    return texts


def test_many_rows_are_compared_with_few(compared: list[str]) -> None:
    """The work grows with the rows, not with their pairs."""
    tails = ("", " so it is")
    values = [said(number, "Tell.", essay(number % 15000) + tails[number // 15000]) for number in range(20000)]
    assert len(left(dedup(text=0.85), values)) == 15000
    assert len(compared) <= 2 * len(values)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("dedup: {text: 0.2}", "from 0.7 to 1"),
        ("dedup: {text: near}", "exact, any"),
        ("dedup: {text: true}", "exact, any"),
        ("dedup: {text: [1]}", "exact, any"),
        ("dedup: {text: any}", "something to compare"),
        ("dedup: {txt: exact}", "a mapping of text"),
        ("dedup: {by: rows}", "question or answer"),
        ("dedup: {by: [all]}", "question or answer"),
        ("dedup: {keep: best}", "most_media"),
        ("repair: maybe", "safe or unsafe"),
    ],
)
def test_what_is_wrong_is_named(written: str, words: str) -> None:
    with pytest.raises(UsageFault, match=words):
        read_steps("steps", [yaml.safe_load(written)])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_texts_too_short_for_keys_are_compared_as_they_are(count: int) -> None:
    values = [said(number, "Who?", "Me." if number % 2 else "You.") for number in range(count)]
    assert len(left(dedup(text=0.8), values)) == min(count, 2)


@settings(deadline=None, max_examples=30)
@given(
    st.binary(max_size=300), st.sampled_from([b"", b"ID3\x04", b"\xff\xd8\xff\xe0", b"\0\0\0\x18ftypmp42", b"OggS\0"])
)
def test_any_bytes_are_media_without_a_feature_or_with_one(tail: bytes, head: bytes) -> None:
    """Nothing that a file holds ends a build; broken files are like themselves only."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.bin").write_bytes(head + tail)
        Path(folder, "b.bin").write_bytes(head + tail + b"x")
        for kind in MediaKind:
            twins = find_twins(kind, ["a.bin", "b.bin"], Path(folder), 0.95)
            assert twins.group["a.bin"] != twins.group["b.bin"]


def test_one_long_question_with_many_answers_is_compared_with_none(compared: list[str]) -> None:
    """All texts have keys in common; the answers have none, and so no two rows are read."""
    values = [said(number, essay(10**6), essay(number, 30)) for number in range(4000)]
    assert len(left(dedup(text=0.7), values)) == 4000 and not compared
