"""Seeded rows with media of odd sizes, and the text that a family makes of them, against the real plugin's."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.installed import installed_trainer
from tests.scaffold import make_clip, make_tone
from validators.budgets.family import Block, Crash, Family, Placed, Run
from validators.model import MediaKind
from validators.probes.audio import probe_audio
from validators.probes.facts import MediaFacts
from validators.probes.image import probe_image
from validators.probes.video import probe_video
from validators.settings import TrainerSettings

TAG = re.compile("<image>|<video>|<audio>")
WORDS = ["What is it?", "猫 and 犬", "\n", "", " ", "Frame1: ", "{{image}", "<imag", "è\n\n", "is a cat."]
SIZES = [(1, 1), (1, 5), (3, 3), (3, 400), (1, 2000), (2000, 1), (700, 2), (31, 33), (28, 28), (64, 48), (224, 224)]
SIZES += [(336, 336), (337, 335), (640, 480), (480, 640), (900, 300), (260, 1000), (448, 448), (449, 448), (1100, 1100)]
SIZES += [
    (1344, 1344),
    (1000, 1001),
    (1600, 1200),
    (90, 1300),
    (1300, 117),
    (512, 256),
    (700, 500),
    (15, 900),
    (300, 3),
    (1024, 1),
]
CLIPS = [(1, (64, 48), 10), (7, (16, 16), 3), (30, (128, 64), 10), (50, (48, 200), 7), (90, (320, 240), 30)]


@dataclass(frozen=True)
class Shelf:
    """Paths and facts of the media, made once."""

    images: tuple[tuple[str, MediaFacts], ...]
    videos: tuple[tuple[str, MediaFacts], ...]
    sounds: tuple[tuple[str, MediaFacts], ...]

    def of(self, kind: MediaKind) -> tuple[tuple[str, MediaFacts], ...]:
        """The media of one kind."""
        return {MediaKind.IMAGE: self.images, MediaKind.VIDEO: self.videos, MediaKind.AUDIO: self.sounds}[kind]


def fill(folder: Path) -> Shelf:
    """Pictures of every size, clips with a frame count (mp4) and without one (mkv)."""
    from PIL import Image

    folder.mkdir(parents=True)
    images, videos = [], []
    for width, height in SIZES:
        path = folder / f"{width}x{height}.png"
        Image.new("RGB", (width, height), "grey").save(path)
        images.append((str(path), probe_image(path)))
    for number, (frames, size, rate) in enumerate(CLIPS):
        path = folder / f"{number}.{'mkv' if number == 3 else 'mp4'}"
        make_clip(path, frames, size, rate)
        videos.append((str(path), probe_video(path)))
    make_tone(folder / "tone.wav", seconds=0.7)
    tone = (str(folder / "tone.wav"), probe_audio(folder / "tone.wav"))
    return Shelf(tuple(images), tuple(videos), (tone,))


@dataclass(frozen=True)
class Sample:
    """One row: messages with tags, paths in the order of the tags, and what is known of them."""

    messages: list[dict[str, str]]
    images: list[str]
    videos: list[str]
    audios: list[str]
    placed: list[Placed]


def sample(rng: random.Random, shelf: Shelf, kinds: Sequence[MediaKind], marks: Sequence[str]) -> Sample:
    """Two to four messages with tags of those kinds at random places; `marks` are literals that plugins replace."""
    kinds = rng.choice([kinds, kinds[:1], kinds[-1:]])
    paths: dict[MediaKind, list[str]] = {kind: [] for kind in MediaKind}
    messages, placed = [], []
    for turn in range(rng.choice([2, 2, 4])):
        content = rng.choice(WORDS)
        for _ in range(rng.choice([0, 0, 1, 1, 2]) if turn % 2 == 0 else rng.choice([0, 0, 0, 1])):
            kind = rng.choice(kinds)
            path, facts = rng.choice(shelf.of(kind))
            placed.append(Placed(kind, len(paths[kind]), turn, facts))
            paths[kind].append(path)
            content += f"<{kind}>" + rng.choice(WORDS)
        content += rng.choice(["", "", *marks])
        messages.append({"role": "user" if turn % 2 == 0 else "assistant", "content": content})
    return Sample(messages, paths[MediaKind.IMAGE], paths[MediaKind.VIDEO], paths[MediaKind.AUDIO], placed)


def settings_for(rng: random.Random, **more: Any) -> TrainerSettings:
    """Limits of pixels and frames, small ones included."""
    settings = TrainerSettings(
        trainer=installed_trainer(),
        image_max_pixels=rng.choice([768 * 768, 768 * 768, 2_000_000, 100_000, 5000, 1500]),
        image_min_pixels=rng.choice([1024, 1024, 1, 1500]),
        video_max_pixels=rng.choice([65536, 65536, 9000, 400]),
        video_min_pixels=rng.choice([256, 256, 1, 400]),
        video_fps=rng.choice([2.0, 2.0, 0.3, 7.5]),
        video_maxlen=rng.choice([128, 8, 3, 1]),
    )
    return replace(settings, **more)


def patch(processor: Any, settings: TrainerSettings) -> None:
    """Set what llamafactory's patch_processor sets (model/patcher.py)."""
    names = ("image_max_pixels", "image_min_pixels", "image_do_pan_and_scan", "crop_to_patches")
    for name in (*names, "video_max_pixels", "video_min_pixels", "video_fps", "video_maxlen"):
        setattr(processor, name, getattr(settings, name))


def render(block: Block) -> str:
    """A block as the string that the plugin puts there."""
    return "".join(part.token * part.count if isinstance(part, Run) else part for part in block.parts)


def predicted(family: Family, row: Sample) -> list[str] | Crash:
    """The row's contents as the family says that the trainer makes them, or why it stops."""
    try:
        blocks = iter(family.expand(row.placed))
        contents = []
        for message in row.messages:
            pieces = TAG.split(message["content"])
            content = pieces[0] + "".join(render(next(blocks)) + piece for piece in pieces[1:])
            contents.append(family.rewritten(content, row.placed))
    except Crash as error:
        return error
    assert next(blocks, None) is None
    return contents


def actual(plugin: Any, processor: Any, row: Sample) -> list[str] | Exception:
    """The row's contents as the real plugin makes them, or what it raises."""
    try:
        messages = plugin.process_messages(row.messages, row.images, row.videos, row.audios, processor)
    except Exception as error:
        return error
    return [message["content"] for message in messages]


def difference(truth: list[str] | Exception, guess: list[str] | Crash) -> str | None:
    """Why the two disagree, None where both fail or give the same text."""
    if isinstance(truth, Exception):
        return None if isinstance(guess, Crash) else f"the trainer raises {truth!r:.300}"
    if isinstance(guess, Crash):
        return f"the trainer does not raise {guess}"
    return None if truth == guess else f"{shorten(truth)} but predicted {shorten(guess)}"


def shorten(contents: Sequence[str]) -> str:
    """Contents with runs written as token*count."""
    return re.sub(r"(<[^<>]*>|\[IMG\])\1+", lambda m: f"{m[1]}*{len(m[0]) // len(m[1])}", repr(contents))[:600]
