"""Model folders without a processor: what `check` says of them is what the trainer's own loading makes of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.agreement.compare import Arena
from tests.agreement.media_factory import make_stock
from tests.scaffold import TAGS
from validators.engine import CheckOptions, check
from validators.model import Outcome

pytestmark = pytest.mark.trainer

CONFIGS = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
COLUMNS = {"columns": {"messages": "messages"}}
ROWS = [{"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A cat."}]}]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Qwen2-VL's folder."""
    work = tmp_path_factory.mktemp("processor")
    return Arena(make_stock(work / "media", 3, small=True), work).family("qwen2_vl").folder


def trainer_stops(model: Path, template: str) -> str:
    """What the real trainer says of a text-only row with that model; "" where it goes on."""
    from llamafactory.data.template import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments, ModelArguments
    from llamafactory.model import load_tokenizer

    loaded = load_tokenizer(ModelArguments(model_name_or_path=str(model)))
    plugin = get_template_and_fix_tokenizer(loaded["tokenizer"], DataArguments(template=template)).mm_plugin
    try:
        plugin.process_messages(ROWS[0]["messages"], [], [], [], loaded["processor"])
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("template", ["qwen2_vl", "qwen"])
@pytest.mark.parametrize("kind", ["whole", "none", "language model"])
def test_a_folder_without_a_processor_stops_templates_for_media(
    kind: str, template: str, whole: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(whole, model)
    if kind != "whole":
        for name in CONFIGS:
            (model / name).unlink(missing_ok=True)
    if kind == "language model":
        (model / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    (tmp_path / "data.json").write_text(json.dumps(ROWS))
    (tmp_path / "dataset_info.json").write_text(
        json.dumps({"data": {"file_name": "data.json", "formatting": "sharegpt", "tags": TAGS} | COLUMNS})
    )
    train = {"stage": "sft", "template": template, "model_name_or_path": str(model), "dataset": "data"}
    (tmp_path / "train.yaml").write_text(json.dumps(train | {"dataset_dir": str(tmp_path), "output_dir": "out"}))
    report = check(tmp_path / "train.yaml", CheckOptions())
    fault = trainer_stops(model, template)
    assert [item.code for item in report.findings if item.code == "CFG002"] == (["CFG002"] if fault else [])
    assert report.stops is bool(fault), fault
    assert dict(report.datasets[0].outcomes) == {Outcome.CRASH_LOAD if fault else Outcome.TRAINED: 1}
    assert bool(fault) is (kind != "whole" and template == "qwen2_vl")
