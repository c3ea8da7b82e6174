"""Law 6 with no file of the model at hand: the embedded vocabulary and published settings against the real trainer."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.faults import Row, Scene, bases_for, entry_for, sound_row
from tests.agreement.media_factory import make_stock
from tests.agreement.minicpm_processor import VERSIONS, load_processor
from tests.agreement.oracle import Family, Oracle
from tests.agreement.processors.loading import image_class
from tests.agreement.processors.tokenizers import fast_class
from tests.budgets.strings import random_strings
from validators.budgets.releases import QWEN_PIXELS, Release, find_release
from validators.budgets.vocabulary import tokenizer_of
from validators.engine import CheckOptions, check

pytestmark = pytest.mark.trainer
KINDS = ("images", "videos")
TYPED = re.compile(r"<image>|<unk>|<\|image_pad\|>")
"""Tokens of a medium, which these rows are not to have typed by hand."""


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
    name: str, template: str, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outcome, length and supervised tokens agree for rows of hard text and real media."""
    monkeypatch.chdir(tmp_path)
    media = tmp_path / "media"
    rows = hard_rows(name, Scene(make_stock(media, 5, small=True), KINDS))
    Path("data.json").write_text(json.dumps(rows), encoding="utf-8")
    Path("dataset_info.json").write_text(json.dumps({"data": entry_for(rows)}))
    train = {"template": template, "dataset": "data", "dataset_dir": ".", "media_dir": str(media)} | settings
    Path("train.yaml").write_text(json.dumps(train | {"model_name_or_path": name, "output_dir": "out"}))
    report = check("train.yaml", CheckOptions(keep_rows=True))
    predictions = report.datasets[0].predictions
    assert predictions is not None and report.datasets[0].counted == len(rows)

    release = find_release(name, template)
    assert release is not None
    family = Family(name, template, tmp_path / "model", processor_of(release, tmp_path / "model"))
    truths = Oracle(family, tmp_path, {"media_dir": str(media)} | settings).judge_all("data")
    assert len(truths) == len(rows), truths
    for number, (row, truth) in enumerate(zip(rows, truths, strict=True)):
        predicted = predictions[number]
        assert truth.outcome is predicted.outcome, (row, truth, predicted)
        assert (truth.tokens, truth.supervised) == (predicted.tokens, predicted.supervised), (row, truth, predicted)


def hard_rows(seed: str, scene: Scene) -> list[Row]:
    """Sound rows whose texts end in hard strings, special tokens in some, but no typed media token or tag."""
    rng = random.Random(seed)
    rows = [sound_row(rng.choice(bases_for(KINDS)), rng, scene) for _ in range(40)]
    for row in rows:
        for message in row["messages"]:
            message["content"] += TYPED.sub("", random_strings(rng.randrange(10**6), 1, rng.random() < 0.2)[0])
    return rows


def processor_of(release: Release, folder: Path) -> Any:
    """The real Qwen2VLProcessor with the published settings, or the stand-in for MiniCPM's remote code."""
    from transformers import Qwen2VLProcessor, Qwen2VLVideoProcessor

    folder.mkdir()
    tokenizer_of(release).save(str(folder / "tokenizer.json"))
    if release.special_words:
        return load_processor(folder, VERSIONS["v-2.6"])
    tokenizer = fast_class("Qwen2TokenizerFast")(
        tokenizer_file=str(folder / "tokenizer.json"), eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    # as `size`: given min_pixels, the processors of transformers write it into their class, for all that follow
    size = {"shortest_edge": QWEN_PIXELS["min_pixels"], "longest_edge": QWEN_PIXELS["max_pixels"]}
    return Qwen2VLProcessor(
        image_processor=image_class("Qwen2VLImageProcessor")(size=dict(size)),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(size=dict(size)),
        chat_template="",
    )
