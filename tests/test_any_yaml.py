"""Whatever stands in a yaml, the check gives findings or one fault of usage, never an exception."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.scaffold import MERGE, TRAIN, Overlay
from validators.engine import check
from validators.errors import UsageFault
from validators.llamafactory.keys import trainer_keys
from validators.llamafactory.trainer import REFERENCE

VALUES: list[object] = [
    None, True, False, 0, 1, -1, 3, 10**30, 0.5, 1.5, -0.1, float("nan"), float("inf"), "", "x", "no", "4", "a,b", ".",
    "model", "/", "model/\0", "x" * 5000, "data", "steps", [], ["a"], [1, None], {}, {"a": {"b": []}}, "{",
]  # fmt: skip
BROKEN_FILES = {
    "a/adapter_config.json": '{"base_model_name_or_path": 5}',
    "a/adapter_model.safetensors": '{"x.0": [2], "0": [2], "": [1]}',
    "b/adapter_config.json": "[" * 9000,
    "b/adapter_model.safetensors": "cut off",
    "b/run.json": '{"settings": {"values": [1]}}',
    "model/config.json": '{"model_type": 5, "architectures": [5, {}], "quantization_config": [1]}',
}


@pytest.mark.parametrize("seed", range(4))
def test_any_values_give_findings_or_a_fault(seed: int, project: Callable[[Overlay], Path]) -> None:
    """Random values for random keys, in trainings and merges."""
    dice = random.Random(seed)
    folder = project(BROKEN_FILES).parent
    for _ in range(40):
        base: dict[str, object] = dict(dice.choice([TRAIN, MERGE]))
        known = sorted(trainer_keys(REFERENCE, bool(base.get("do_train"))))
        for key in dice.sample(known, 40):
            base[key] = dice.choice(VALUES)
        if dice.random() < 0.5:
            base["adapter_name_or_path"] = dice.choice(["a", "b", "a,b", "c"])
        (folder / "any.yaml").write_text(yaml.safe_dump(base))
        try:
            check(folder / "any.yaml")
        except UsageFault as fault:
            assert fault.found


def test_a_key_that_stands_twice_is_a_fault_as_it_is_for_the_trainer(project: Callable[[Overlay], Path]) -> None:
    """The line is named; the trainer's own reader refuses the file too."""
    path = project({})
    path.write_text(path.read_text() + "cutoff_len: 4096\n")
    with pytest.raises(UsageFault, match=r"train.yaml:10.*'cutoff_len' stands twice"):
        check(path)


def test_numbers_are_read_as_the_trainer_reads_them(project: Callable[[Overlay], Path]) -> None:
    """`1e-4` is a number: no finding says that it is text."""
    assert check(project({"train.yaml": "learning_rate: 1e-4"})).findings == ()
    path = project({})
    path.write_text(path.read_text() + "learning_rate: 1e-4\n")
    assert check(path).findings == ()
