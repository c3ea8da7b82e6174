"""The dry run without the trainer: what it says of odd yamls, and how light it is."""

from __future__ import annotations

import json
import random
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from curate.cli import main
from curate.doctor.environment import Environment
from curate.doctor.gpu import Driver, Gpu
from tests.scaffold import TRAIN, Overlay
from tests.test_any_yaml import BROKEN_FILES, VALUES
from tests.train.test_refusals import NO_ANSWER, without_torch
from train.preflight import options
from train.preflight.drill import DrillBatch, Row, fixed_accumulation, place, plan_batches, write_rows
from train.preflight.machine import Machine
from train.preflight.schedule import padding_of
from train.preflight.survey import Heavy, Load, Survey
from validators.llamafactory.keys import trainer_keys
from validators.llamafactory.trainer import REFERENCE
from validators.settings import TrainerSettings
from validators.sources.rows import iter_rows

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
        for key in (*dice.sample(KEYS, 8), *dice.sample(sorted(trainer_keys(REFERENCE)), 5)):
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


def test_each_kind_of_load_is_a_batch_and_equal_ones_are_one() -> None:
    survey = Survey(TrainerSettings(), 2)
    for load, rows in {Load.TOKENS: (4, 5), Load.TARGET: (5, 4), Load.IMAGES: (9,)}.items():
        for weight, row in enumerate(reversed(rows), start=1):
            survey.weigh_one(load, Heavy(float(weight), "a", row))
    batches = plan_batches(survey, 2)
    assert [batch.loads for batch in batches] == [
        (Load.TOKENS, Load.TARGET), (Load.IMAGES,), (Load.TOKENS, Load.TARGET),
    ]  # fmt: skip
    assert [[row.number for row in batch.rows] for batch in batches] == [[4, 5], [9, 9], [4, 5]]


def test_a_fault_is_placed_by_the_process_that_met_it() -> None:
    """Two processes, two batches of two rows each: the second process has the second row of each."""
    rows = [Row("a", number, "a.json", number) for number in range(4)]
    batches = [DrillBatch((Load.TOKENS,), 1.0, tuple(rows[:2])), DrillBatch((Load.IMAGES,), 1.0, tuple(rows[2:]))]

    def events(*names: str) -> list[dict[str, object]]:
        return [{"event": name, "number": number} for number, name in enumerate(names) for number in [number // 2]]

    put = ("batch begins", "batch ends", "batch begins")
    assert place({0: events(*put, "batch ends"), 1: events(*put)}, batches, 2, 2) == (
        "while a batch was put together", ("a.json row 3",),
    )  # fmt: skip
    step = ("step begins", "step ends", "step begins")
    assert place({0: events(*step), 1: events(*step)}, batches, 2, 2) == (
        "in the step", ("a.json row 2", "a.json row 3"),
    )  # fmt: skip
    assert place({0: events("row begins", "row ends", "row begins")}, batches, 2, 2)[1] == ("a.json row 1",)
    assert place({}, batches, 2, 2) == ("before the first batch", ())


def test_rows_with_bytes_go_into_parquet(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": "Hi"}], "images": [{"bytes": b"\xff\x00", "path": None}]}]
    assert write_rows(tmp_path, "x", rows) == "x.parquet" and write_rows(tmp_path, "y", [{"a": 1}]) == "y.json"
    assert [row.value for row in iter_rows(tmp_path / "x.parquet")] == rows


def test_padding_is_what_is_left_of_batches_of_a_multiple_of_8() -> None:
    assert padding_of(np.array([8, 9, 16]), 1) == pytest.approx(7 / 40)
    assert padding_of(np.array([10] * 7), 3) == pytest.approx(6 / 16)
    assert padding_of(np.array([], dtype=np.int64), 2) is None


def test_a_drill_is_for_gpus_unless_asked_for(project: Project) -> None:
    found = options.look(project({}))
    gpu = replace(found, machine=Machine(1, 1, 80 << 30, False))
    for given, dry, on_cpu, on_gpu in (
        (None, False, False, True), (None, True, False, False), (True, True, True, True), (False, False, False, False),
    ):  # fmt: skip
        args = Namespace(drill=given, dry_run=dry)
        assert (options.drills(args, found), options.drills(args, gpu)) == (on_cpu, on_gpu)


def test_a_deepspeed_file_s_own_accumulation_is_kept(tmp_path: Path) -> None:
    for value, kept in ((4, 4), ("auto", 1), (1, 1)):
        (tmp_path / "x.json").write_text(json.dumps({"gradient_accumulation_steps": value}))
        assert fixed_accumulation(TrainerSettings(raw={"deepspeed": str(tmp_path / "x.json")})) == kept
