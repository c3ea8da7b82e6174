"""Media with damage that no header shows: at `--depth decode`, what is predicted is what the real trainer does."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.agreement.oracle import Oracle, make_family
from tests.probes.clips import write_clip
from tests.scaffold import TAGS
from validators.engine import CheckOptions, check
from validators.model import Outcome
from validators.rules.rule import Depth

pytestmark = pytest.mark.trainer
TEXTS = ["What is to be seen here? A thing, it may be. Yes.", "A cat sits on the table."] * 20
SEEDS = range(6)


def damaged(content: bytes, seed: int, start: int, end: int) -> bytes:
    """The content with some stretches between two places replaced."""
    rng = np.random.default_rng(seed)
    changed = bytearray(content)
    for at in rng.integers(start, end - 40, 1 + seed % 4):
        changed[at : at + 30] = rng.bytes(30)
    return bytes(changed)


def make_damaged(folder: Path) -> tuple[list[str], list[str]]:
    """Names of pictures and of videos, each with damage of its own in the middle."""
    pictures, videos = [], []
    noise = Image.effect_noise((220, 160), 60).convert("RGB")
    for kind in ("PNG", "JPEG", "WEBP"):
        buffer = io.BytesIO()
        noise.save(buffer, kind)
        content = buffer.getvalue()
        for seed in SEEDS:
            pictures.append(f"{seed}.{kind.lower()}")
            (folder / pictures[-1]).write_bytes(damaged(content, seed, len(content) // 3, len(content) * 9 // 10))
    for codec in ("libx264", "mpeg4", "mjpeg"):
        write_clip(folder / "whole.mp4", codec, 40)
        content = (folder / "whole.mp4").read_bytes()
        start = content.index(b"mdat") + 4
        end = start + int.from_bytes(content[start - 8 : start - 4], "big") - 8
        for seed in SEEDS:
            videos.append(f"{codec}{seed}.mp4")
            (folder / videos[-1]).write_bytes(damaged(content, seed, start, end))
    return pictures, videos


def row(tag: str, column: str, name: str) -> dict[str, Any]:
    """A row with one medium."""
    other = {"images": "videos", "videos": "images"}[column]
    turns = [{"role": "user", "content": f"<{tag}>What is to be seen?"}, {"role": "assistant", "content": "A thing."}]
    return {"messages": turns, column: [name], other: []}


@pytest.mark.parametrize("name", ["qwen2_vl", "v-2.6"])
def test_damage_inside_is_predicted(name: str, tmp_path: Path) -> None:
    """Outcome, length and supervised tokens of each row; the headers alone get some of them wrong."""
    family = make_family(name, tmp_path / "models" / name, TEXTS)
    folder = tmp_path / "project"
    folder.mkdir()
    pictures, videos = make_damaged(folder)
    rows = [row("image", "images", each) for each in pictures] + [row("video", "videos", each) for each in videos]
    (folder / "data.json").write_text(json.dumps(rows))
    columns = {"messages": "messages", "images": "images", "videos": "videos"}
    entry = {"file_name": "data.json", "formatting": "sharegpt", "columns": columns, "tags": TAGS}
    (folder / "dataset_info.json").write_text(json.dumps({"data": entry}))
    settings = {"media_dir": str(folder), "cutoff_len": 8192, "video_fps": 5.0}
    train = {"stage": "sft", "template": family.template, "model_name_or_path": str(family.folder), "dataset": "data"}
    train |= {"dataset_dir": str(folder), "output_dir": "out"} | settings
    (folder / "train.yaml").write_text(json.dumps(train))
    truths = Oracle(family, folder, settings).judge_all("data")
    assert not isinstance(truths, str), truths
    wrong = {}
    for depth in (Depth.HEADER, Depth.DECODE):
        predictions = check(folder / "train.yaml", CheckOptions(depth=depth, keep_rows=True)).datasets[0].predictions
        assert predictions is not None
        wrong[depth] = [
            (rows[number], truth, predictions[number])
            for number, truth in enumerate(truths)
            if truth.outcome is not predictions[number].outcome
            or (truth.outcome is Outcome.TRAINED and truth.tokens != predictions[number].tokens)
        ]
    assert wrong[Depth.HEADER], "no damage that a header hides"
    assert not wrong[Depth.DECODE], wrong[Depth.DECODE]
