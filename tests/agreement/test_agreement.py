"""Law 6: what is predicted for a row is what the real trainer does with it, to the token."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.faults import FAULTS, faulty_row, sound_row
from tests.agreement.oracle import Oracle, minicpm_processor, qwen_processor
from tests.scaffold import TAGS, make_clip, make_tone
from validators.engine import CheckOptions, check

pytestmark = pytest.mark.trainer
ROOT = Path(__file__).resolve().parents[2]
ENTRY = {
    "file_name": "data.json",
    "formatting": "sharegpt",
    "columns": {"messages": "messages", "images": "images", "videos": "videos", "audios": "audios"},
    "tags": TAGS,
}
CASES = [
    ("qwen2_vl", {"cutoff_len": 2048}),
    ("qwen2_vl", {"cutoff_len": 300, "image_max_pixels": 200_000, "video_maxlen": 8, "video_fps": 1.0}),
    ("qwen2_vl", {"cutoff_len": 130, "mask_history": True, "image_max_pixels": 50_176, "video_maxlen": 3}),
    (
        "qwen2_vl",
        {"cutoff_len": 400, "train_on_prompt": True, "default_system": "Be brief.", "image_min_pixels": 90_000},
    ),
    ("minicpm_v", {"cutoff_len": 2048}),
    ("minicpm_v", {"cutoff_len": 250, "image_max_pixels": 2_000_000, "video_maxlen": 5}),
    ("minicpm_v", {"cutoff_len": 3000, "image_max_pixels": 4_000_000, "video_max_pixels": 400_000, "video_maxlen": 9}),
    ("minicpm_o", {"cutoff_len": 2048}),
    ("minicpm_o", {"cutoff_len": 180, "mask_history": True}),
]


@pytest.fixture(scope="module")
def media(stock: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The scaffold's media, the demo's, and sizes at the slicing's edges; with tokenizers of both families."""
    from PIL import Image

    from train.tiny import save_processor

    folder = tmp_path_factory.mktemp("agreement") / "project"
    shutil.copytree(stock, folder)
    for file in (ROOT / "examples/demo/media").rglob("*.*"):
        shutil.copy(file, folder)
    for name, size in (("wide", (1600, 300)), ("tall", (220, 1700)), ("square", (900, 900))):
        Image.new("RGB", size, "grey").save(folder / f"{name}.png")
    make_clip(folder / "long.mp4", frames=200, size=(320, 240), rate=7)
    make_clip(folder / "big.mp4", frames=25, size=(1280, 720), rate=12)
    make_tone(folder / "stereo.wav", seconds=2.345, rate=44100, channels=2)
    text = folder / "text.json"
    text.write_text(json.dumps([sound_row(random.Random(n), []) for n in range(40)]))
    save_processor(folder / "qwen", [text])
    yield folder


@pytest.mark.parametrize(("template", "settings"), CASES, ids=lambda value: value if isinstance(value, str) else None)
def test_predictions_are_what_the_trainer_does(
    template: str, settings: dict[str, Any], media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outcome, length and supervised tokens of every row agree, for sound rows and for every kind of fault."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(f"{template}{settings}")
    kinds = ["images", "videos"] + (["audios"] if template == "minicpm_o" else [])
    rows = [sound_row(rng, kinds) for _ in range(60)] + [faulty_row(rng, kinds, fault) for fault in FAULTS * 3]
    (tmp_path / "data.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "dataset_info.json").write_text(json.dumps({"data": ENTRY}))
    model = media / ("qwen" if template == "qwen2_vl" else "model")
    train = {"template": template, "dataset": "data", "dataset_dir": ".", "media_dir": str(media)} | settings
    (tmp_path / "train.yaml").write_text(json.dumps(train | {"model_name_or_path": str(model), "output_dir": "out"}))
    report = check("train.yaml", CheckOptions(keep_rows=True))
    predictions = report.datasets[0].predictions
    assert predictions is not None and len(predictions) == len(rows)

    processor = (qwen_processor if template == "qwen2_vl" else minicpm_processor)(model)
    oracle = Oracle(template, processor, ENTRY, media_dir=str(media), **settings)
    wrong = []
    for number, row in enumerate(rows):
        truth, predicted = oracle.judge(row), predictions[number]
        agrees = truth.outcome is predicted.outcome
        if truth.tokens is not None:
            agrees &= (truth.tokens, truth.supervised) == (predicted.tokens, predicted.supervised)
        if not agrees:
            wrong.append(
                f"row {number}: {truth} but predicted {predicted}: {json.dumps(row, ensure_ascii=False)[:400]}"
            )
    assert not wrong, f"{len(wrong)} of {len(rows)}:\n" + "\n".join(wrong[:8])
