"""Whole rows of other families: outcome, length and supervised tokens against the trainer's own preprocessing."""

from __future__ import annotations

import json
import random
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.family_rows import Shelf, fill, sample
from tests.agreement.oracle import Oracle
from tests.agreement.test_families_llava import CASES
from tests.scaffold import TAGS
from validators.budgets.family import Family
from validators.engine import CheckOptions, check

pytestmark = pytest.mark.trainer
COLUMNS = {"messages": "messages", "images": "images", "videos": "videos"}
ENTRY = {"file_name": "data.json", "formatting": "sharegpt", "columns": COLUMNS, "tags": TAGS}
REAL = ["llava", "llava_next", "internvl", "gemma3", "paligemma", "pixtral", "video_llava", "llama4", "mllama"]
STANDING_IN = ["kimi_vl", "minicpm_v_4_6"]
SETTINGS: list[dict[str, Any]] = [{"cutoff_len": 4096}, {"cutoff_len": 90, "image_max_pixels": 60_000}]
SETTINGS += [{"cutoff_len": 1000, "image_do_pan_and_scan": True, "crop_to_patches": True}]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Media of odd sizes, made once."""
    import torch

    torch.set_num_threads(1)
    return fill(tmp_path_factory.mktemp("whole") / "media")


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: str(settings["cutoff_len"]))
@pytest.mark.parametrize("name", REAL + STANDING_IN)
def test_whole_rows_end_as_in_the_trainer(
    name: str, settings: dict[str, Any], shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of every kind of family have the trainer's outcome, length and supervised tokens."""
    monkeypatch.chdir(tmp_path)
    case, rng = CASES[name], random.Random(zlib.crc32(f"{name}{settings}".encode()))
    processor = import_module(f"tests.agreement.processors.{name}").processor(tmp_path / "model")
    rows = []
    for _ in range(40):
        row = sample(rng, shelf, case.kinds, ())
        rows.append({"messages": row.messages, "images": row.images, "videos": row.videos})
    (tmp_path / "data.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "dataset_info.json").write_text(json.dumps({"data": ENTRY}))
    train = {"template": case.template, "dataset": "data", "dataset_dir": ".", "media_dir": "/"} | settings
    (tmp_path / "train.yaml").write_text(json.dumps(train | {"model_name_or_path": "model", "output_dir": "out"}))
    predictions = check("train.yaml", CheckOptions(keep_rows=True)).datasets[0].predictions
    assert predictions is not None and len(predictions) == len(rows)

    processor.crop_to_patches = settings.get("crop_to_patches", False)
    arguments = {key: value for key, value in settings.items() if key != "crop_to_patches"}
    oracle = Oracle(case.template, processor, ENTRY, media_dir="/", **arguments)
    oracle.marks |= feature_ids(name, processor, tmp_path / "model")
    wrong = []
    for number, row_of_data in enumerate(rows):
        truth, predicted = oracle.judge(row_of_data), predictions[number]
        agrees = truth.outcome is predicted.outcome
        if truth.tokens is not None:
            agrees &= (truth.tokens, truth.supervised) == (predicted.tokens, predicted.supervised)
        if not agrees:
            wrong.append(f"{truth} but predicted {predicted}: {json.dumps(row_of_data, ensure_ascii=False)[:400]}")
    assert not wrong, f"{len(wrong)} of {len(rows)}:\n" + "\n".join(wrong[:6])


def feature_ids(name: str, processor: Any, folder: Path) -> set[int]:
    """Ids of the tokens whose places features take."""
    from tests.agreement.family_rows import configs_of
    from validators.settings import TrainerSettings

    module = import_module(f"validators.budgets.{CASES[name].module}")
    family: Family = getattr(module, CASES[name].make)(TrainerSettings(), configs_of(folder))
    return {processor.tokenizer.convert_tokens_to_ids(token) for token in family.features}
