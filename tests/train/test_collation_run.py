"""MiniCPM with rows of different media in a batch: the step at which it stops, and that it trains with the plugin."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.agreement.test_feature_tokens import Features, turns
from tests.agreement.test_feature_tokens import trainer as parts_of
from tests.scaffold import TAGS, make_clip
from tests.train.conftest import BIN, ROOT, Workshop
from tests.train.test_high_fps_run import make_model
from validators.engine import check

pytestmark = pytest.mark.trainer
STEP = re.compile(r"of epoch 1 crash-step, the first at step (\d)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network that places features as MiniCPM-V does, its media and rows, five with an image and one a video."""
    from PIL import Image

    made = tmp_path_factory.mktemp("mixed")
    make_model(made / "model")
    make_clip(made / "clip.mp4", 20, rate=5)
    rows: list[dict[str, Any]] = [{"messages": turns("<video>What happens?"), "videos": ["clip.mp4"], "images": []}]
    for number in range(5):
        Image.new("RGB", (60 + number, 40), (number * 40, 90, 10)).save(made / f"{number}.png")
        rows.append({"messages": turns(f"<image>What is {number}?"), "images": [f"{number}.png"], "videos": []})
    (made / "data.json").write_text(json.dumps(rows))
    columns = {"messages": "messages", "images": "images", "videos": "videos"}
    entry = {"file_name": "data.json", "formatting": "sharegpt", "columns": columns, "tags": TAGS}
    (made / "dataset_info.json").write_text(json.dumps({"data": entry}))
    return made


def write_yaml(folder: Path, seed: int) -> None:
    """The shipped recipe for MiniCPM-V 4.5 in batches of two, on a CPU."""
    train = yaml.safe_load((ROOT / "train/recipes/minicpm_v_4_5_lora.yaml").read_text())
    train |= {"model_name_or_path": "model", "dataset": "data", "dataset_dir": ".", "media_dir": "."}
    train |= {"bf16": False, "use_cpu": True, "num_train_epochs": 1.0, "logging_steps": 1, "report_to": "none"}
    train |= {"preprocessing_num_workers": 1, "save_only_model": False, "learning_rate": 0.01, "seed": seed}
    train |= {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 1, "output_dir": "out"}
    train |= {"disable_gradient_checkpointing": True, "overwrite_output_dir": True}
    (folder / "train.yaml").write_text(yaml.safe_dump(train))


def test_the_run_stops_at_the_step_that_is_named_and_trains_with_the_plugin(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The video is in the second or third batch, by the seed."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the model's own code is partly in tests/
    step = 0
    for seed in range(20):
        write_yaml(folder, seed)
        report = check("train.yaml")
        named = STEP.search(report.batches)
        assert named is not None and report.errors == 1 and "BAT201" in {finding.code for finding in report.findings}
        step = int(named[1])
        if step > 1:
            break
    assert step > 1

    plain = subprocess.run(
        [BIN / "llamafactory-cli", "train", "train.yaml"], env=os.environ, capture_output=True, text=True, check=False
    )
    assert plain.returncode != 0 and "IndexError" in plain.stderr
    losses = [line for line in plain.stdout.splitlines() if re.match(r"\{'loss'", line)]
    assert len(losses) == step - 1, plain.stdout[-2000:]

    said = Workshop(folder).curate("train", "train.yaml")
    assert "train.plugins.minicpm_collation repairs it" in said and "and train.plugins.minicpm_collation" in said
    verified = said.partition("verified:\n")[2].splitlines()
    assert verified and all(line.strip().startswith("ok") for line in verified), said


def test_rows_learn_in_a_batch_what_they_learn_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits of each row in batches of two and three are those of the row by itself, whatever is beside it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoProcessor

    from train.plugins.minicpm_collation import CollationPlugin

    monkeypatch.syspath_prepend(str(ROOT))
    torch.manual_seed(0)
    processor = AutoProcessor.from_pretrained(folder / "model", trust_remote_code=True)
    model = AutoModelForCausalLM.from_pretrained(folder / "model", trust_remote_code=True).float().train()
    made = parts_of("minicpm_v", processor, None, folder)
    plugin = made.collator.template.mm_plugin
    given = {field.name: getattr(plugin, field.name) for field in dataclasses.fields(plugin)}
    made.collator.template.mm_plugin = CollationPlugin(**given)
    rows = {
        "text": made.feature({"messages": turns("Say something.")}),
        "image": made.feature({"messages": turns("<image>What is it?"), "images": ["4.png"]}),
        "images": made.feature({"messages": turns("<image><image>And?"), "images": ["1.png", "3.png"]}),
        "video": made.feature({"messages": turns("<video>What happens?"), "videos": ["clip.mp4"]}),
    }

    def logits(names: tuple[str, ...]) -> list[Any]:
        features: list[Features] = [copy.deepcopy(rows[name]) for name in names]
        data = made.collator(features)["data"]
        with torch.no_grad():
            whole = model(data=data, attention_mask=data["attention_mask"]).logits
        return [whole[number, : len(rows[name]["input_ids"])] for number, name in enumerate(names)]

    alone = {name: logits((name,))[0] for name in rows}
    assert not torch.allclose(alone["image"][-5:], alone["images"][-5:], atol=1e-3), "features reach the logits"
    for names in (*itertools.product(rows, repeat=2), ("image", "text", "video"), ("video", "images", "text")):
        for name, found in zip(names, logits(names), strict=True):
            assert torch.allclose(found, alone[name], atol=1e-4), names
