"""Numbers that nobody means, against whole runs of the real trainer: what stops is an error, what trains is none.

Left out is what never ends (a great max_steps) or fills the machine (a great dataloader_num_workers), and what trains
nothing without an error, which the check calls one (num_train_epochs: 0).
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.faults import entry_for
from tests.agreement.oracle import make_family, said
from tests.media_names import make_sources
from validators.engine import check
from validators.model import MediaKind

pytestmark = pytest.mark.trainer
BEYOND_64 = 1 << 63
VALUES: dict[str, tuple[float, ...]] = {
    "cutoff_len": (-1, 0, 40, 10**30),
    "max_samples": (-1, 0, 10**30),
    "val_size": (-1, 3, 10**30, 0.5, 1.0, math.nan, math.inf, -math.inf),
    "preprocessing_batch_size": (-1, 0, BEYOND_64),
    "per_device_train_batch_size": (-1, 0, BEYOND_64),
    "per_device_eval_batch_size": (0, BEYOND_64),
    "gradient_accumulation_steps": (0, 10**30),
    "num_train_epochs": (0.5, math.nan, math.inf),
    "seed": (-1, (1 << 32) - 1, 1 << 32),
    "data_seed": (-BEYOND_64 - 1, -1, 2 * BEYOND_64 - 1, 2 * BEYOND_64),
    "dataloader_num_workers": (-1,),
    "lora_rank": (-1, 0, BEYOND_64),
    "learning_rate": (-1, math.nan),
    "logging_steps": (-1, 0, 0.5, 1.5, math.inf),
}
SAMPLES: tuple[object, ...] = (-1, 5, 10**30, 2.0, "2", True)
"""Of num_samples, in dataset_info.json."""
TRAIN: dict[str, Any] = {
    "stage": "sft", "do_train": True, "finetuning_type": "lora", "lora_target": "q_proj,v_proj", "template": "qwen2_vl",
    "model_name_or_path": "model", "dataset": "data", "dataset_dir": ".", "media_dir": ".", "output_dir": "out",
    "overwrite_cache": True, "num_train_epochs": 1, "per_device_train_batch_size": 1, "save_strategy": "no",
    "use_cpu": True, "report_to": "none", "disable_tqdm": True,
}  # fmt: skip


def test_a_number_of_any_value_is_an_error_where_the_trainer_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three rows with an image, one epoch, each value in a run of its own."""
    monkeypatch.chdir(tmp_path)
    image = make_sources(tmp_path)[MediaKind.IMAGE].name
    turns = [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}]
    rows = [{"messages": turns, "images": [image]}] * 3
    Path("data.json").write_text(json.dumps(rows))
    Path("dataset_info.json").write_text(json.dumps({"data": entry_for(rows)}))
    make_family("qwen2_vl", tmp_path / "model", ["What is it?", "A cat."])
    wrong = []
    for key, value in ((key, value) for key, values in VALUES.items() for value in values):
        if fault := disagreement(TRAIN | {key: value}):
            wrong.append((key, value, *fault))
    for value in SAMPLES:
        Path("dataset_info.json").write_text(json.dumps({"data": entry_for(rows) | {"num_samples": value}}))
        if fault := disagreement(TRAIN):
            wrong.append(("num_samples", value, *fault))
    assert not wrong, "\n".join(map(str, wrong))


def disagreement(settings: dict[str, Any]) -> tuple[object, ...]:
    """What trainer and check say of a run where one alone stops it; nothing where they agree."""
    Path("train.yaml").write_text(json.dumps(settings).replace("NaN", ".nan").replace("Infinity", ".inf"))
    report, stop = check("train.yaml"), stop_of(settings)
    shutil.rmtree("out", ignore_errors=True)
    return () if bool(stop) == bool(report.refusal) else (stop, [item.found for item in report.findings])


def stop_of(settings: dict[str, Any]) -> str:
    """What the trainer says where it stops; "" where it trains."""
    from llamafactory.train.tuner import run_exp

    try:
        run_exp(dict(settings))
    except Exception as error:
        return said(error)
    return ""
