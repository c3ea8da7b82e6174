"""The dry run without the trainer: what it says of odd yamls, and how light it is."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from curate.cli import main
from curate.doctor.environment import Environment
from curate.doctor.gpu import Driver, Gpu
from tests.scaffold import TRAIN, Overlay
from tests.test_any_yaml import BROKEN_FILES, VALUES
from tests.train.test_refusals import NO_ANSWER, without_torch
from train.preflight import options
from train.preflight.survey import Heavy, Load, Survey
from validators.settings import TrainerSettings, trainer_keys

Project = Callable[[Overlay], Path]
KEYS = (
    "num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps", "val_size", "seed",
    "packing", "neat_packing", "mix_strategy", "interleave_probs", "preprocessing_num_workers", "cutoff_len",
    "preprocessing_batch_size", "lora_rank", "lora_target", "additional_target", "finetuning_type", "deepspeed",
    "quantization_bit", "optim", "save_steps", "save_strategy", "save_total_limit", "output_dir", "ddp_timeout",
    "tokenized_path", "freeze_trainable_layers", "freeze_trainable_modules", "fsdp", "stage", "max_samples",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_any_values_give_figures_or_a_fault(
    seed: int, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Random values for the keys that figures come from, and for others."""
    monkeypatch.setattr(options, "take_snapshot", lambda: Environment(driver=Driver(gpus=(Gpu("x", (8, 0), 1 << 34),))))
    dice = random.Random(seed)
    folder = project(BROKEN_FILES).parent
    for _ in range(30):
        base: dict[str, object] = dict(TRAIN) | {"output_dir": "out"}
        for key in (*dice.sample(KEYS, 8), *dice.sample(sorted(trainer_keys()["train"]), 5)):
            base[key] = dice.choice(VALUES)
        (folder / "any.yaml").write_text(yaml.safe_dump(base))
        assert main(["train", str(folder / "any.yaml"), "--dry-run", "--no-drill"]) in (0, 1, 2), base
        assert capsys.readouterr().out or base


def test_figures_need_no_torch(project: Project) -> None:
    done = without_torch("train", str(project({})), "--dry-run", "--output-format", "json")
    value = json.loads(done.stdout)
    assert value["schema"] == 1 and value["schedule"]["steps"]["low"] > 0, done.stderr
    assert "unknown" in value["parameters"], "the scaffold's model has no weights"
    assert value["check"]["refusal"] == "" and not Path("out").exists()


def test_a_refused_run_is_1_and_says_so(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(project({"data.json": NO_ANSWER})), "--dry-run"]) == 1
    assert "would not be trained: 2 errors above" in capsys.readouterr().out


def test_a_long_preparation_is_told_where_others_wait(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A limit that a real measurement of the scaffold's rows is above, and only with more than one process."""
    path = project({"train.yaml": "ddp_timeout: 0.000001\n"})
    monkeypatch.setenv("FORCE_TORCHRUN", "1")
    monkeypatch.setenv("NPROC_PER_NODE", "2")
    main(["train", str(path), "--dry-run"])
    assert "tokenized_path on one process" in capsys.readouterr().out
    monkeypatch.setenv("NPROC_PER_NODE", "1")
    main(["train", str(path), "--dry-run"])
    assert "tokenized_path on one process" not in capsys.readouterr().out


def test_the_heaviest_rows_are_kept_and_the_first_of_equals() -> None:
    survey = Survey(TrainerSettings(), 2)
    for row, weight in enumerate((3.0, 5.0, 5.0, 1.0, 5.0)):
        survey.weigh_one(Load.IMAGES, Heavy(weight, "a", row))
    assert [(item.row, item.weight) for item in survey.worst(Load.IMAGES)] == [(1, 5.0), (2, 5.0)]
