"""`curate train` in a locked environment: a second Python, which is a thin wrapper of this one's packages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.train.conftest import Workshop
from tests.train.environments.conftest import register
from validators.llamafactory.environment.store import path_of

pytestmark = pytest.mark.trainer
NAME = "transformers-4"


def test_the_run_goes_on_in_the_environment_and_its_record_names_it(workshop: Workshop, data: Path) -> None:
    register(NAME)
    settings = yaml.safe_load((workshop.folder / "train/recipes/tiny_lora.yaml").read_text())
    settings |= {"max_steps": 1, "dataset": "demo_image", "output_dir": "runs/there", "save_strategy": "no"}
    settings |= {"plot_loss": False}
    (workshop.folder / "there.yaml").write_text(yaml.safe_dump(settings))
    said = workshop.curate("train", "there.yaml", "--env", NAME, XDG_DATA_HOME=str(data.parent.parent))
    assert f"curate: in LLaMA-Factory 0.9.5, transformers 4.57.1 in the environment {NAME}" in said
    record = json.loads((workshop.folder / "runs/there/run.json").read_text())
    assert record["environment"]["name"] == NAME and record["environment"]["lock"]
    assert record["environment"]["folder"] == str(path_of(NAME))
    assert record["outcome"] == "finished" and record["attempts"][0]["command"][:2] == ["curate", "train"]
    assert record["versions"]["mmcurate"], "its own metadata are there too"
