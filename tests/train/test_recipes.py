"""Shipped recipes: each is accepted by the installed trainer's own parser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from curate.writers.dataset_info import entry
from curate.writers.form import Form
from tests.scaffold import ROWS
from tests.train.conftest import ROOT
from validators.engine import check
from validators.settings import FORK_KEYS, read_yaml

RECIPES = sorted((ROOT / "train" / "recipes").glob("*.yaml"))
GUIDE = {
    "minicpm_v_4_5_lora.yaml": {"finetuning_type": "lora", "lora_target": "q_proj,v_proj", "template": "minicpm_v"},
    "minicpm_v_4_5_full.yaml": {
        "finetuning_type": "full",
        "freeze_vision_tower": True,
        "flash_attn": "fa2",
        "deepspeed": "train/deepspeed/ds_z2_config.json",
    },
    "minicpm_v_4_5_merge.yaml": {"export_size": 2, "export_device": "cpu", "export_legacy_format": False},
}


@pytest.mark.trainer
@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_the_trainer_s_parser_takes_it(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from llamafactory.hparams import get_infer_args, get_train_args

    monkeypatch.chdir(tmp_path)
    settings = read_yaml(file)
    if "export_dir" in settings:
        get_infer_args(dict(settings))
        return
    if "bf16" in settings:  # this machine has no GPU for it, and the parser looks
        settings |= {"bf16": False, "use_cpu": True}
    for key in FORK_KEYS:  # the plugin adds them: test_high_fps_run
        settings.pop(key, None)
    config = settings.pop("deepspeed", None)  # the parser wants torchrun around it: tiny_full runs so in test_run
    assert config is None or (ROOT / str(config)).is_file()
    get_train_args(dict(settings))


@pytest.mark.parametrize("name", GUIDE)
def test_minicpm_recipes_hold_the_guide_s_values(name: str) -> None:
    settings = read_yaml(ROOT / "train" / "recipes" / name)
    assert GUIDE[name].items() <= settings.items()


@pytest.mark.parametrize("file", sorted((ROOT / "train" / "deepspeed").glob("*.json")), ids=lambda file: file.stem)
def test_deepspeed_configs_are_what_their_names_say(file: Path) -> None:
    zero = json.loads(file.read_text())["zero_optimization"]
    assert zero["stage"] == int(file.name[4])
    kept = {key: value["device"] for key, value in zero.items() if key.startswith("offload_")}
    parts = ("offload_optimizer", "offload_param") if zero["stage"] == 3 else ("offload_optimizer",)
    assert kept == (dict.fromkeys(parts, "cpu") if "offload" in file.stem else {})


@pytest.mark.parametrize("name", ["lora", "full"])
def test_minicpm_recipes_check_clean_over_a_registered_dataset(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is said of them: the vocabulary is embedded, flash-attn is not installed, and rows are few here."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "train" / "deepspeed", "train/deepspeed")
    Path("data").mkdir()
    Path("data/rows.json").write_text(json.dumps(ROWS))
    Path("data/dataset_info.json").write_text(json.dumps({"cpmv_img": entry("rows.json", Form())}))
    report = check(ROOT / "train" / "recipes" / f"minicpm_v_4_5_{name}.yaml")
    assert report.rows_reaching == len(ROWS)
    assert {item.code for item in report.findings} <= {"BUD003", "CFG302", "CFG311"}
    assert report.datasets[0].counted == len(ROWS)
