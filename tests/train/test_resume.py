"""A run that is killed goes on where its last whole checkpoint was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.train.conftest import BIN, Workshop
from train.resume import last_checkpoint
from train.runs.read import read_run
from validators.errors import UsageFault
from validators.settings import read_yaml

pytestmark = pytest.mark.trainer


@pytest.fixture
def run(workshop: Workshop, lora: str, tmp_path: Path) -> Path:
    """The finished LoRA run's checkpoints: 6, 12 and 18."""
    copy = tmp_path / "run"
    shutil.copytree(workshop.folder / "runs/tiny-lora", copy)
    return copy


def test_the_newest_whole_checkpoint_is_taken(run: Path) -> None:
    """What a kill leaves in the middle of a save is passed over."""
    assert last_checkpoint(run).name == "checkpoint-18"
    (run / "checkpoint-18/trainer_state.json").unlink()
    assert last_checkpoint(run).name == "checkpoint-12"
    weights = run / "checkpoint-12/adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    (run / "checkpoint-30").mkdir()
    assert last_checkpoint(run).name == "checkpoint-6"


def test_without_a_whole_checkpoint_each_fault_is_named(run: Path, tmp_path: Path) -> None:
    """So is the run that never saved, and the one that saved weights alone."""
    for folder in run.glob("checkpoint-*"):
        (folder / "optimizer.pt").unlink()
    with pytest.raises(UsageFault, match=r"checkpoint-18: no optimizer state \(save_only_model\)"):
        last_checkpoint(run)
    with pytest.raises(UsageFault, match="no checkpoint"):
        last_checkpoint(tmp_path / "nowhere")


def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(workshop: Workshop, lora: str) -> None:
    """Killed after its first checkpoint, resumed from there: all 18 steps are logged once, and the end is proven."""
    folder = workshop.folder
    settings = read_yaml(folder / "train/recipes/tiny_lora.yaml") | {"output_dir": "runs/killed"}
    (folder / "killed.yaml").write_text(json.dumps(settings))
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [BIN / "curate", "train", "killed.yaml"],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        first = folder / "runs/killed/checkpoint-6/trainer_state.json"
        deadline = time.monotonic() + 300
        while not first.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    assert first.exists() and not (folder / "runs/killed/adapter_model.safetensors").exists()
    broken = read_run(folder / "runs/killed")
    assert broken is not None and broken.outcome == "broken off" and broken.record["outcome"] == "running"
    assert 6 <= broken.losses.step < 18
    said = workshop.curate("train", "killed.yaml", "--resume")
    assert "going on from runs/killed/checkpoint-" in said and "ok    adapter" in said
    log = [json.loads(line) for line in (folder / "runs/killed/trainer_log.jsonl").read_text().splitlines()]
    steps = [entry["current_steps"] for entry in log if "loss" in entry]
    assert sorted(set(steps)) == list(range(1, 19))
    whole = [json.loads(line) for line in (folder / "runs/tiny-lora/trainer_log.jsonl").read_text().splitlines()]
    last = {entry["current_steps"]: entry["loss"] for entry in whole if "loss" in entry}[18]
    assert [entry["loss"] for entry in log if entry.get("current_steps") == 18 and "loss" in entry] == [
        pytest.approx(last, abs=1e-3)
    ]
    run = read_run(folder / "runs/killed")
    assert run is not None and run.outcome == "finished" and run.record["id"] == broken.record["id"]
    assert [each["outcome"] for each in run.attempts] == ["broken off", "finished"]
    assert str(run.attempts[1]["resumed_from"]).startswith("runs/killed/checkpoint-")
    assert run.settings["overwrite_output_dir"] is False and run.losses.step == 18
