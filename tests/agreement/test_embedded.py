"""Law 6 with no file of the model at hand: the embedded vocabulary and published settings against the real trainer."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.faults import Row, sound_row
from tests.agreement.oracle import Oracle, minicpm_processor
from tests.budgets.strings import random_strings
from tests.scaffold import TAGS, make_clip
from validators.budgets.releases import QWEN_PIXELS, Release, find_release
from validators.budgets.vocabulary import tokenizer_of
from validators.engine import CheckOptions, check

pytestmark = pytest.mark.trainer
ENTRY = {
    "file_name": "data.json",
    "formatting": "sharegpt",
    "columns": {"messages": "messages", "images": "images", "videos": "videos"},
    "tags": TAGS,
}
TYPED = re.compile(r"<image>|<unk>|<\|image_pad\|>")
"""What the oracle would take for tokens of a medium, were it typed by hand."""


@pytest.mark.parametrize(
    ("name", "template", "settings"),
    [
        ("openbmb/MiniCPM-V-4_5", "minicpm_v", {"cutoff_len": 2048, "video_maxlen": 5}),
        ("openbmb/MiniCPM-V-2_6", "minicpm_v", {"cutoff_len": 120, "video_maxlen": 5}),
        ("Qwen/Qwen2-VL-7B-Instruct", "qwen2_vl", {"cutoff_len": 2048, "video_maxlen": 6}),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2_vl", {"cutoff_len": 150, "image_max_pixels": 2_000_000}),
    ],
)
def test_a_hub_name_is_counted_as_the_trainer_counts(
    name: str, template: str, settings: dict[str, Any], stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outcome, length and supervised tokens agree for rows of hard text and real media."""
    monkeypatch.chdir(tmp_path)
    media = lay_out_media(stock, tmp_path / "media")
    rows = hard_rows(name)
    Path("data.json").write_text(json.dumps(rows), encoding="utf-8")
    Path("dataset_info.json").write_text(json.dumps({"data": ENTRY}))
    train = {"template": template, "dataset": "data", "dataset_dir": ".", "media_dir": str(media)} | settings
    Path("train.yaml").write_text(json.dumps(train | {"model_name_or_path": name, "output_dir": "out"}))
    report = check("train.yaml", CheckOptions(keep_rows=True))
    predictions = report.datasets[0].predictions
    assert predictions is not None and report.datasets[0].counted == len(rows)

    release = find_release(name, template)
    assert release is not None
    oracle = Oracle(template, processor_of(release, tmp_path / "model"), ENTRY, media_dir=str(media), **settings)
    for number, row in enumerate(rows):
        truth, predicted = oracle.judge(row), predictions[number]
        assert truth.outcome is predicted.outcome, (row, truth, predicted)
        assert (truth.tokens, truth.supervised) == (predicted.tokens, predicted.supervised), (row, truth, predicted)


def lay_out_media(stock: Path, folder: Path) -> Path:
    """The scaffold's pictures and clip, and what else sound rows name."""
    from PIL import Image

    shutil.copytree(stock, folder)
    for name, size in (("wide", (1600, 300)), ("tall", (220, 1700)), ("square", (900, 900))):
        Image.new("RGB", size, "grey").save(folder / f"{name}.png")
    for name in ("1.jpg", "2.jpg"):
        shutil.copy(folder / "dog.jpg", folder / name)
    for name in ("long.mp4", "2.avi", "3.mp4", "big.mp4"):
        make_clip(folder / name, frames=60, size=(320, 240), rate=7)
    return folder


def hard_rows(seed: str) -> list[Row]:
    """Sound rows whose texts end in hard strings, special tokens in some, but no typed media token or tag."""
    rng = random.Random(seed)
    rows = [sound_row(rng, ["images", "videos"]) for _ in range(40)]
    for row in rows:
        for message in row["messages"]:
            message["content"] += TYPED.sub("", random_strings(rng.randrange(10**6), 1, rng.random() < 0.2)[0])
    return rows


def processor_of(release: Release, folder: Path) -> Any:
    """The real Qwen2VLProcessor with the published settings, or the stand-in for MiniCPM's remote code."""
    from transformers import PreTrainedTokenizerFast, Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    folder.mkdir()
    tokenizer_of(release).save(str(folder / "tokenizer.json"))
    if release.special_words:
        return minicpm_processor(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    # as `size`: given min_pixels, the processors of transformers 5.6.0 write it into their class, for all that follow
    size = {"shortest_edge": QWEN_PIXELS["min_pixels"], "longest_edge": QWEN_PIXELS["max_pixels"]}
    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=dict(size)),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(size=dict(size)),
        chat_template="",
    )
