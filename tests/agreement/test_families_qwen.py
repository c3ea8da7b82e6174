"""Families against the real plugins: the text that process_messages puts in a placeholder's place, to the letter."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.processors import glm4v, qwen2_audio, qwen2_omni, qwen2_vl, qwen3_vl
from tests.installed import installed_trainer
from tests.scaffold import make_tone
from validators.budgets import glm4v as glm4v_family
from validators.budgets import qwen2_audio as qwen2_audio_family
from validators.budgets import qwen2_omni as qwen2_omni_family
from validators.budgets import qwen2_vl as qwen2_vl_family
from validators.budgets import qwen3_vl as qwen3_vl_family
from validators.budgets.families import processor_configs
from validators.budgets.family import Block, Crash, Family, Placed, Run
from validators.model import MediaKind
from validators.probes.cache import ProbeCache
from validators.settings import TrainerSettings

pytestmark = [pytest.mark.trainer, pytest.mark.usefixtures("one_thread")]
TAGS = re.compile("<image>|<video>|<audio>")
KIND = {kind.tag: kind for kind in MediaKind}
ROWS = 320  # of each family, whatever its cases
IMAGES = [
    (1, 1), (3, 500), (27, 27), (28, 28), (29, 31), (64, 48), (640, 480), (1600, 300), (220, 1700), (900, 900),
    (6000, 20), (15, 4000), (2000, 9), (100, 100), (1021, 767), (336, 336), (9000, 2),
]  # fmt: skip
# name: frames, size, rate, codec, options
VIDEOS: dict[str, tuple[int, tuple[int, int], int | Fraction, str, dict[str, str]]] = {
    "one.mp4": (1, (64, 48), 10, "mpeg4", {}),
    "two.mp4": (2, (320, 240), 1, "mpeg4", {}),
    "three.avi": (3, (640, 360), 2, "mpeg4", {}),
    "film.mp4": (50, (160, 120), Fraction(30000, 1001), "mpeg4", {}),
    "long.mp4": (120, (96, 64), 7, "mpeg4", {}),
    "still.avi": (40, (400, 32), 5, "mjpeg", {}),
    "tall.mp4": (25, (32, 640), 12, "mpeg4", {}),
    "big.mov": (12, (1280, 720), 24, "mpeg4", {}),
    "tiny.avi": (9, (16, 16), 4, "mpeg4", {}),
    "moving.gif": (14, (80, 60), 5, "gif", {}),
    # no duration, no count of frames: decoded
    "uncounted.mkv": (30, (128, 96), 10, "mpeg4", {}),
    "short.mkv": (3, (240, 320), 3, "mpeg4", {}),
    "web.webm": (20, (96, 96), 8, "libvpx", {}),
    "flash.flv": (11, (64, 64), 6, "flv", {}),
    # a duration, but no count of frames
    "stream.ts": (20, (128, 128), 25, "mpeg2video", {}),
    "fragments.mp4": (16, (64, 48), 5, "mpeg4", {"movflags": "frag_keyframe+empty_moov"}),
    "windows.wmv": (18, (64, 48), 5, "wmv2", {}),
    # no rate
    "nameless.nut": (12, (64, 48), 5, "mpeg4", {}),
}
SOUNDS = [
    ("blip.wav", 0.004, 16000, 1),
    ("hop.wav", 0.02, 16000, 1),
    ("tone.wav", 1.0, 16000, 1),
    ("stereo.wav", 2.345, 44100, 2),
    ("phone.wav", 7.77, 8000, 1),
    ("odd.flac", 3.21, 22050, 1),
    ("lossy.mp3", 4.1, 32000, 2),
    ("speech.ogg", 1.9, 48000, 1),
    ("long.wav", 31.5, 8000, 1),
]


@dataclass(frozen=True)
class Case:
    """A template with a processor, our family of it, and the kinds of media that rows get."""

    name: str
    template: str
    processor: Callable[[Path], Any]
    make: Callable[[TrainerSettings, Mapping[str, Mapping[str, object]]], Family | None]
    kinds: tuple[MediaKind, ...]


PICTURES = (MediaKind.IMAGE, MediaKind.VIDEO)
CASES = [
    Case("qwen2_vl", "qwen2_vl", qwen2_vl.processor, qwen2_vl_family.make, PICTURES),
    Case("qwen2_5_vl", "qwen2_vl", qwen2_vl.qwen2_5, qwen2_vl_family.make, PICTURES),
    Case("qwen2_vl-plain", "mimo_vl", qwen2_vl.plain, qwen2_vl_family.make, PICTURES),
    Case("qwen3_vl", "qwen3_vl_nothink", qwen3_vl.processor, qwen3_vl_family.make, PICTURES),
    Case("qwen3_vl-defaults", "qwen3_5", qwen3_vl.class_defaults, qwen3_vl_family.make, PICTURES),
    Case("qwen2_audio", "qwen2_audio", qwen2_audio.processor, qwen2_audio_family.make, (MediaKind.AUDIO,)),
    Case("qwen2_audio-hops", "qwen2_audio", qwen2_audio.odd_hops, qwen2_audio_family.make, (MediaKind.AUDIO,)),
    Case("qwen2_5_omni", "qwen2_omni", qwen2_omni.processor, qwen2_omni_family.make, tuple(MediaKind)),
    Case("qwen3_omni", "qwen3_omni", qwen2_omni.qwen3, qwen2_omni_family.make, tuple(MediaKind)),
    Case("glm4v", "glm4v", glm4v.processor, glm4v_family.make, (MediaKind.IMAGE,)),
    *([Case("glm46v", "glm_ocr", glm4v.glm46v, glm4v_family.make, (MediaKind.IMAGE,))] if glm4v.HAS_GLM46V else []),
]
Row = tuple[list[dict[str, str]], dict[MediaKind, list[str]]]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[MediaKind, list[str]]]:
    """Small files of every kind."""
    import numpy as np
    import soundfile
    from PIL import Image

    folder = tmp_path_factory.mktemp("families")
    for number, size in enumerate(IMAGES):
        mode = ("RGB", "L", "RGBA", "1")[number % 4]
        Image.new(mode, size).save(folder / f"{size[0]}x{size[1]}.png")
    for name, (frames, size, rate, codec, options) in VIDEOS.items():
        make_video(folder / name, frames, size, rate, codec, options)
    for name, seconds, rate, channels in SOUNDS:
        if name.endswith(".wav"):
            make_tone(folder / name, seconds, rate, channels)
        else:
            tone = np.sin(np.arange(int(seconds * rate)) / 20).astype(np.float32) / 2
            soundfile.write(folder / name, np.stack([tone] * channels, axis=1), rate)
    yield {
        MediaKind.IMAGE: sorted(str(path) for path in folder.glob("*.png")),
        MediaKind.VIDEO: [str(folder / name) for name in VIDEOS],
        MediaKind.AUDIO: [str(folder / name) for name, *_ in SOUNDS],
    }


def make_video(
    path: Path, frames: int, size: tuple[int, int], rate: int | Fraction, codec: str, options: dict[str, str]
) -> None:
    """A video of moving grey by any of FFmpeg's encoders and containers."""
    import av
    import numpy as np

    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream(codec, rate=Fraction(rate))
        video.width, video.height = size
        video.pix_fmt = {"mjpeg": "yuvj420p", "gif": "rgb8"}.get(codec, "yuv420p")
        for number in range(frames):
            picture = np.full((size[1], size[0], 3), (number * 7) % 256, dtype=np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())


def random_settings(rng: random.Random, template: str) -> TrainerSettings:
    """Limits of every kind; the sampling rate is mostly the one that extractors want."""
    return TrainerSettings(
        template=template,
        trainer=installed_trainer(),
        image_max_pixels=rng.choice([768 * 768, 50176, 200_000, 1024, 3000]),
        image_min_pixels=rng.choice([32 * 32, 1, 90_000, 16]),
        video_max_pixels=rng.choice([256 * 256, 16384, 100_000, 2500]),
        video_min_pixels=rng.choice([16 * 16, 1, 12_000]),
        video_fps=rng.choice([2.0, 0.5, 1.0, 3.7, 24.0]),
        video_maxlen=rng.choice([128] + [1, 3, 8, 16, 24] * 3),
        audio_sampling_rate=16000 if rng.random() < 0.95 else 24000,
        raw={"use_audio_in_video": rng.random() < 0.5},
    )


def random_row(rng: random.Random, kinds: tuple[MediaKind, ...], media: Mapping[MediaKind, list[str]]) -> Row:
    """One to three pairs of turns with tags at random places, mostly in questions."""
    used: dict[MediaKind, list[str]] = {kind: [] for kind in MediaKind}
    messages = []
    chosen = rng.sample(kinds, rng.randint(1, len(kinds)))
    for _ in range(rng.randint(1, 3)):
        for role in ("user", "assistant"):
            tags = rng.choices([0, 1, 2, 3], [4, 4, 2, 1] if role == "user" else [20, 1, 0, 0])[0]
            words = ["What", "is", "<", "it?", "\n", ""]
            for _ in range(tags):
                kind = rng.choice(chosen)
                used[kind].append(rng.choice(media[kind]))
                words.insert(rng.randint(0, len(words)), kind.tag)
            messages.append({"role": role, "content": rng.choice(["", " "]).join(words)})
    return messages, used


def woven_row(rng: random.Random, media: Mapping[MediaKind, list[str]]) -> Row:
    """Turns in which each video mostly has its sound after it."""
    used: dict[MediaKind, list[str]] = {kind: [] for kind in MediaKind}
    messages = []
    for _ in range(rng.randint(1, 2)):
        content = "See"
        for _ in range(rng.randint(0, 2)):
            order = ["<video>", "<audio>"] if rng.random() < 0.9 else ["<audio>", "<video>"]
            content += " and ".join(order) + rng.choice([".", "<image>"])
        for tag in TAGS.findall(content):
            used[KIND[tag]].append(rng.choice(media[KIND[tag]]))
        messages += [{"role": "user", "content": content}, {"role": "assistant", "content": "Yes."}]
    return messages, used


def placed_of(row: Row, probes: ProbeCache) -> list[Placed]:
    """The row's placeholders in the order of its text."""
    messages, used = row
    seen = dict.fromkeys(MediaKind, 0)
    placed = []
    for turn, message in enumerate(messages):
        for tag in TAGS.findall(message["content"]):
            kind = KIND[tag]
            path = used[kind][seen[kind]]
            placed.append(Placed(kind, seen[kind], turn, probes.facts(kind, path, Path("/"))))
            seen[kind] += 1
    return placed


def predicted(family: Family, row: Row, placed: list[Placed]) -> list[str] | str:
    """The turns as we expand them, or why the trainer would stop."""
    try:
        blocks = iter(family.expand(placed))
    except Crash as fault:
        return f"Crash: {fault}"
    texts = [TAGS.sub(lambda _: text_of(next(blocks)), message["content"]) for message in row[0]]
    assert next(blocks, None) is None
    return texts


def text_of(block: Block) -> str:
    """A block spelled out."""
    return "".join(part.token * part.count if isinstance(part, Run) else part for part in block.parts)


def replayed(plugin: Any, processor: Any, row: Row) -> list[str] | str:
    """The turns as the real plugin expands them, or its error."""
    messages, used = row
    try:
        done = plugin.process_messages(messages, *(list(used[kind]) for kind in MediaKind), processor)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return [message["content"] for message in done]


def collated(plugin: Any, processor: Any, row: Row, texts: list[str]) -> str:
    """What is wrong with the features that the collator makes for these texts, "" if they are as many as tokens."""
    media = [list(row[1][kind]) for kind in MediaKind]
    try:
        inputs = plugin.get_mm_inputs(*media, *([len(entries)] for entries in media), [[]], processor)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    merge = processor.video_processor.merge_size**2
    features = sum(int(grid.prod()) // merge for grid in inputs.get("video_grid_thw", []))
    tokens = sum(text.count(plugin.video_token) for text in texts)
    return "" if tokens == features else f"{tokens} tokens, {features} features"


def patch(processor: Any, settings: TrainerSettings) -> None:
    """What the trainer's patch_processor sets."""
    for name in ("image_max_pixels", "image_min_pixels", "video_max_pixels", "video_min_pixels"):
        setattr(processor, name, getattr(settings, name))
    for name in ("video_fps", "video_maxlen", "audio_sampling_rate"):
        setattr(processor, name, getattr(settings, name))
    processor.use_audio_in_video = settings.raw["use_audio_in_video"]


def brief(value: list[str] | str) -> str:
    """Runs shortened, for reading."""
    return re.sub(r"(<\|\w+\|>)\1+", lambda m: f"{m[1]}*{len(m[0]) // len(m[1])}", str(value))[:300]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_placeholders_expand_as_the_trainer_expands_them(
    case: Case, media: Mapping[MediaKind, list[str]], tmp_path: Path
) -> None:
    """For any row and settings our text is the plugin's text, and where the plugin raises we say that it does."""
    from llamafactory.data.template import TEMPLATES

    processor = case.processor(tmp_path)
    configs, plugin = processor_configs(tmp_path, installed_trainer()), TEMPLATES[case.template].mm_plugin
    rng, probes = random.Random(case.name), ProbeCache()
    wrong, whole, stopped = [], 0, 0
    rows = ROWS // sum(other.make is case.make for other in CASES)
    for number in range(rows):
        settings = random_settings(rng, case.template)
        woven = MediaKind.AUDIO in case.kinds and MediaKind.VIDEO in case.kinds and number % 2
        row = woven_row(rng, media) if woven else random_row(rng, case.kinds, media)
        patch(processor, settings)
        family = case.make(settings, configs)
        assert family is not None
        placed = placed_of(row, probes)
        ours, truth = predicted(family, row, placed), replayed(plugin, processor, row)
        whole += isinstance(truth, list)
        if ours != truth and not (isinstance(ours, str) and isinstance(truth, str)):
            wrong.append(f"row {number}: {brief(truth)}\n  but predicted {brief(ours)}\n  {row}\n  {settings}")
        elif isinstance(truth, list) and isinstance(family, qwen2_vl_family.Qwen2VL | qwen3_vl_family.Qwen3VL):
            faults = family.step_fault(placed), collated(plugin, processor, row, truth)
            stopped += faults[1] != ""
            if (faults[0] == "") != (faults[1] == ""):
                wrong.append(
                    f"row {number}: {faults[1] or 'whole'}\n  but predicted {faults[0]}\n  {row}\n  {settings}"
                )
    assert not wrong, f"{len(wrong)} of {rows}:\n" + "\n".join(wrong[:6])
    assert stopped or "qwen" not in case.name or MediaKind.AUDIO in case.kinds
    assert whole > rows // 3, f"only {whole} of {rows} rows passed the trainer"


@pytest.mark.parametrize("make", [glm4v.processor, *([glm4v.glm46v] if glm4v.HAS_GLM46V else [])])
def test_videos_stop_the_trainer_with_glm(
    make: Callable[[Path], Any], media: Mapping[MediaKind, list[str]], tmp_path: Path
) -> None:
    """Whatever the video, GLM4VPlugin calls transformers with an argument that it refuses, and we say so."""
    from llamafactory.data.template import TEMPLATES

    processor, plugin, probes = make(tmp_path), TEMPLATES["glm4v"].mm_plugin, ProbeCache()
    settings = TrainerSettings(template="glm4v", trainer=installed_trainer())
    family = glm4v_family.make(settings, processor_configs(tmp_path, settings.trainer))
    assert family is not None
    for path in media[MediaKind.VIDEO]:
        row: Row = (
            [{"role": "user", "content": "<video>"}],
            {kind: [] for kind in MediaKind} | {MediaKind.VIDEO: [path]},
        )
        truth = replayed(plugin, processor, row)
        assert isinstance(truth, str), path
        assert "'images'" in truth or "'total_frames'" in truth or "NoneType" in truth, truth
        assert isinstance(predicted(family, row, placed_of(row, probes)), str)
