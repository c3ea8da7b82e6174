"""train/plugins/buffers.py in the real load_model, on a tiny model with code of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models

from train.plugins.chosen import plugins_of

# one table that is computed, one that is drawn, one of complex numbers; SPOILED leaves the first as memory that nobody
# wrote to, as transformers 5 does with code like this
CODE = """
import torch
from transformers import LlamaConfig, LlamaForCausalLM

SPOILED = {spoiled}

class TableConfig(LlamaConfig):
    model_type = "table_lm"

class TableLM(LlamaForCausalLM):
    config_class = TableConfig
    def __init__(self, config):
        super().__init__(config)
        self.side = torch.nn.Module()
        self.side.register_buffer("table", torch.arange(64.0).sin().view(8, 8), persistent=False)
        turns = torch.polar(torch.ones(8, dtype=torch.float32), torch.arange(8, dtype=torch.float32))
        self.side.register_buffer("turns", turns, persistent=False)
        self.side.register_buffer("noise", torch.rand(16), persistent=False)
        self.side.register_buffer("kept", torch.zeros(2))
        self.side.scale = torch.nn.Parameter(torch.empty(4, 4))
        self.post_init()

    @classmethod
    def from_pretrained(cls, *values, **named):
        model = super().from_pretrained(*values, **named)
        if SPOILED:
            model.side.table[3:5] = float("nan")
            model.side.turns.imag += 1.0
        return model
"""
MAKE = """
import sys
sys.path.insert(0, sys.argv[1])
from modeling_table import TableConfig, TableLM
config = TableConfig(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
config.auto_map = {"AutoConfig": "modeling_table.TableConfig", "AutoModelForCausalLM": "modeling_table.TableLM"}
TableLM(config).save_pretrained(sys.argv[1])
"""


def make_model(folder: Path, spoiled: bool) -> Path:
    """A model folder with code of its own."""
    folder.mkdir()
    (folder / "modeling_table.py").write_text(CODE.replace("{spoiled}", str(spoiled)))
    subprocess.run([sys.executable, "-c", MAKE, str(folder)], check=True, capture_output=True)
    Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a")).save(str(folder / "tokenizer.json"))
    tokenizer = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "b", "pad_token": "a"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return folder


@pytest.fixture
def loaded() -> Iterator[Any]:
    """llamafactory's load_model with the plugin, for a folder."""
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer, loader

    from train.plugins import buffers

    before = loader.init_adapter
    buffers.register()
    buffers.register()

    def load(folder: Path) -> Any:
        settings = {"model_name_or_path": str(folder), "trust_remote_code": True, "stage": "sft", "do_train": True}
        settings |= {"finetuning_type": "lora", "lora_target": "q_proj", "template": "default", "dataset": "none"}
        settings |= {"output_dir": str(folder / "out"), "use_cpu": True, "report_to": "none"}
        model, _, _, finetuning, _ = get_train_args(settings)
        return loader.load_model(load_tokenizer(model)["tokenizer"], model, finetuning, is_trainable=True)

    yield load
    loader.init_adapter = before


@pytest.mark.trainer
def test_buffers_that_the_code_did_not_make_are_refused(tmp_path: Path, loaded: Any) -> None:
    with pytest.raises(ValueError, match="TableLM was loaded with buffers") as fault:
        loaded(make_model(tmp_path / "spoiled", spoiled=True))
    said = str(fault.value)
    assert "side.table: 16 of 64 numbers differ, NaN among them; side.turns: 8 of 16 numbers differ" in said
    assert "noise" not in said and "kept" not in said and "curate env" in said


@pytest.mark.trainer
def test_right_buffers_pass_in_each_number_format(tmp_path: Path, loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from train.plugins import buffers

    said: list[str] = []
    monkeypatch.setattr(buffers.logger, "info_rank0", said.append)
    folder = make_model(tmp_path / "right", spoiled=False)
    model = loaded(folder)
    assert len(said) == 1 and any("lora" in name for name, _ in model.named_parameters())
    kind = type(model.base_model.model)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert buffers.wrong_buffers(kind.from_pretrained(folder, dtype=dtype)) == {}


@pytest.mark.trainer
def test_the_comparison_holds_no_weights_in_memory(tmp_path: Path, loaded: Any) -> None:
    import torch

    from train.plugins import buffers

    model = loaded(make_model(tmp_path / "right", spoiled=False)).base_model.model
    asked: list[torch.Size] = []
    plain = type(model).__init__

    def seen(self: Any, config: Any) -> None:
        plain(self, config)
        asked.extend(each.shape for each in self.parameters() if not each.is_meta)

    type(model).__init__ = seen
    try:
        made = buffers.construct(model, seed=0)
    finally:
        type(model).__init__ = plain
    assert asked == [] and not any(value.is_meta for _, value in made.values())
    assert torch.get_default_dtype() is torch.float32


@pytest.mark.trainer
def test_a_code_that_cannot_be_constructed_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from train.plugins import buffers

    class Odd(torch.nn.Module):
        def __init__(self, config: object) -> None:
            super().__init__()
            if config is None:
                raise RuntimeError("needs a GPU")
            self.config, self.dtype = None, torch.float32
            self.register_buffer("table", torch.ones(2), persistent=False)

    said: list[str] = []
    monkeypatch.setattr(buffers.logger, "warning_rank0", said.append)
    buffers.refuse_wrong_buffers(Odd("config"))
    assert said == ["buffers were not compared: RuntimeError: needs a GPU"]


def test_it_is_taken_where_a_models_own_code_is_trained() -> None:
    assert plugins_of({"trust_remote_code": True}, frozenset()) == ("buffers",)
    assert plugins_of({"trust_remote_code": True, "export_dir": "out"}, frozenset()) == ()
    assert plugins_of({}, frozenset()) == ()
    assert plugins_of({"trust_remote_code": True, "enable_high_fps": True}, frozenset()) == (
        "minicpm_high_fps",
        "buffers",
    )
