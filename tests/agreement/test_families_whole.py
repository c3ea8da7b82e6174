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
from tests.agreement.oracle import Family as OracleFamily
from tests.agreement.oracle import Oracle, Truth, quiet
from tests.agreement.test_families_llava import CASES
from tests.installed import installed_trainer
from tests.scaffold import TAGS
from validators.budgets.families import processor_configs
from validators.budgets.family import Family
from validators.engine import CheckOptions, check
from validators.model import Outcome
from validators.settings import TrainerSettings

pytestmark = pytest.mark.trainer
COLUMNS = {"messages": "messages", "images": "images", "videos": "videos", "audios": "audios"}
ENTRY = {"file_name": "data.json", "formatting": "sharegpt", "columns": COLUMNS, "tags": TAGS}
REAL = [
    "llava",
    "llava_next",
    "internvl",
    "gemma3",
    "gemma3n",
    "paligemma",
    "pixtral",
    "video_llava",
    "llama4",
    "mllama",
]
STANDING_IN = ["kimi_vl", "minicpm_v_4_6"]
SETTINGS: list[dict[str, Any]] = [{"cutoff_len": 4096}, {"cutoff_len": 90, "image_max_pixels": 60_000}]
SWITCHES = ("image_do_pan_and_scan", "crop_to_patches")
SETTINGS += [{"cutoff_len": 1000, "image_do_pan_and_scan": True, "crop_to_patches": True}]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Media of odd sizes, made once."""
    quiet()
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
        rows.append({"messages": row.messages, "images": row.images, "videos": row.videos, "audios": row.audios})
    (tmp_path / "data.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "dataset_info.json").write_text(json.dumps({"data": ENTRY}))
    train = {"template": case.template, "dataset": "data", "dataset_dir": ".", "media_dir": "/"} | settings
    (tmp_path / "train.yaml").write_text(json.dumps(train | {"model_name_or_path": "model", "output_dir": "out"}))
    predictions = check("train.yaml", CheckOptions(keep_rows=True)).datasets[0].predictions
    assert predictions is not None and len(predictions) == len(rows)

    features = feature_ids(name, processor, tmp_path / "model")
    truths = judge(OracleFamily(name, case.template, tmp_path / "model", processor), tmp_path, settings, features)
    assert len(truths) == len(rows)
    wrong = []
    for number, (row_of_data, truth) in enumerate(zip(rows, truths, strict=True)):
        predicted = predictions[number]
        agrees = truth.outcome is predicted.outcome
        if truth.tokens is not None:
            agrees &= (truth.tokens, truth.supervised) == (predicted.tokens, predicted.supervised)
        if not agrees:
            wrong.append(f"{truth} but predicted {predicted}: {json.dumps(row_of_data, ensure_ascii=False)[:400]}")
    assert not wrong, f"{len(wrong)} of {len(rows)}:\n" + "\n".join(wrong[:6])


def judge(family: OracleFamily, folder: Path, settings: dict[str, Any], features: set[int]) -> list[Truth]:
    """What the trainer's preprocessing does with each row; a step stops where truncation takes feature tokens."""
    for switch in SWITCHES:
        setattr(family.processor, switch, settings.get(switch, False))
    plain = {key: value for key, value in settings.items() if key not in SWITCHES} | {"media_dir": "/"}
    limited, unlimited = (Oracle(family, folder, plain | more) for more in ({}, {"cutoff_len": 1_000_000}))
    examples, error = limited.load("data")
    assert examples is not None, error
    truths = []
    for example in examples:
        try:
            row = limited.converter(example)
            kept, whole = (
                oracle.supervise.preprocess_dataset({key: [value] for key, value in row.items()})
                for oracle in (limited, unlimited)
            )
        except Exception as stop:
            truths.append(Truth(Outcome.CRASH_LOAD, error=repr(stop)[:200]))
            continue
        if not kept["input_ids"]:
            truths.append(Truth(Outcome.DROPPED))
            continue
        counts = [sum(token in features for token in ids["input_ids"][0]) for ids in (kept, whole)]
        lengths = [len(ids["input_ids"][0]) for ids in (kept, whole)]
        outcome = Outcome.ALTERED if limited.is_altered(row) else Outcome.TRAINED
        if lengths[0] < lengths[1]:
            outcome = Outcome.TRUNCATED if counts[0] == counts[1] else Outcome.CRASH_STEP
        truths.append(Truth(outcome, lengths[0], sum(label != -100 for label in kept["labels"][0])))
    return truths


def feature_ids(name: str, processor: Any, folder: Path) -> set[int]:
    """Ids of the tokens whose places features take."""
    module = import_module(f"validators.budgets.{CASES[name].module}")
    settings = TrainerSettings(trainer=installed_trainer())
    configs = processor_configs(folder, settings.trainer)
    family: Family = getattr(module, CASES[name].make)(settings, configs)
    return {processor.tokenizer.convert_tokens_to_ids(token) for token in family.features}


@pytest.mark.parametrize("name", [name for name in REAL if name != "llama4"])
def test_broken_files_stop_where_they_are_opened(
    name: str, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is missing, or no picture, stops preprocessing or the step, as the plugin opens it there or here."""
    monkeypatch.chdir(tmp_path)
    case = CASES[name]
    processor = import_module(f"tests.agreement.processors.{name}").processor(tmp_path / "model")
    (tmp_path / "notes.jpg").write_text("no picture")
    turns = [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "x"}]
    rows = [{"messages": turns, "images": [file]} for file in ("nowhere.jpg", "notes.jpg")]
    (tmp_path / "data.json").write_text(json.dumps(rows), encoding="utf-8")
    columns = {"messages": "messages", "images": "images"}
    (tmp_path / "dataset_info.json").write_text(json.dumps({"data": ENTRY | {"columns": columns}}))
    train = {"template": case.template, "dataset": "data", "dataset_dir": ".", "model_name_or_path": "model"}
    (tmp_path / "train.yaml").write_text(json.dumps(train | {"output_dir": "out"}))
    predictions = check("train.yaml", CheckOptions(keep_rows=True)).datasets[0].predictions
    assert predictions is not None
    oracle = Oracle(OracleFamily(name, case.template, tmp_path / "model", processor), tmp_path, {})
    examples, error = oracle.load("data")
    assert examples is not None, error
    for number, example in enumerate(examples):
        row = {key: [value] for key, value in oracle.converter(example).items()}
        try:
            oracle.supervise.preprocess_dataset(row)
            outcome = Outcome.CRASH_STEP  # the collator opens it, and there is nothing to open
        except Exception:
            outcome = Outcome.CRASH_LOAD
        assert predictions[number].outcome is outcome, (example, predictions[number])
