"""`curate train` with high-fps keys: the plugin under torchrun, a network that takes packs as MiniCPM-V 4.5 does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.agreement.minicpm_processor import VERSIONS, save_model_folder
from tests.scaffold import TAGS, make_clip
from tests.train.conftest import ROOT, Workshop

pytestmark = pytest.mark.trainer
CODE = Path(__file__).parent / "remote_code"
MAKE = """
import sys
sys.path.insert(0, sys.argv[1])
from modeling_tiny import TinyConfig, TinyMiniCPMV
config = TinyConfig.from_pretrained(sys.argv[1])
TinyMiniCPMV(config).save_pretrained(sys.argv[1])
"""


def make_model(folder: Path) -> None:
    """A model folder with its own code and random weights."""
    save_model_folder(folder, VERSIONS["v-4.5"], ["What happens in the clip? It turns grey."])
    for file in CODE.glob("*.py"):
        shutil.copy(file, folder)
    vocabulary = json.loads((folder / "tokenizer.json").read_text())
    size = len(vocabulary["model"]["vocab"]) + len(vocabulary["added_tokens"])
    code = {"AutoConfig": "modeling_tiny.TinyConfig", "AutoModelForCausalLM": "modeling_tiny.TinyMiniCPMV"}
    config = {"model_type": "minicpmv", "version": 4.5, "vocab_size": size, "hidden_size": 32, "auto_map": code}
    config |= {"intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
    (folder / "config.json").write_text(json.dumps(config | {"head_dim": 16, "pad_token_id": 0}))
    subprocess.run([sys.executable, "-c", MAKE, str(folder)], check=True, capture_output=True)
    (folder / "config.json").write_text(json.dumps(config | {"head_dim": 16, "architectures": ["TinyMiniCPMV"]}))
    processor = VERSIONS["v-4.5"].config() | {"auto_map": {"AutoProcessor": "processing_tiny.TinyMiniCPMProcessor"}}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    tokens = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokens))


def test_two_packed_videos_a_batch_train_under_torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """6 s at 2 and 8 s at 2 frames a second, doubled: 24 and 32 frames in packs of two make 12 and 16 blocks."""
    make_model(tmp_path / "model")
    rows = []
    for seconds in (6, 8):
        make_clip(tmp_path / f"{seconds}.mp4", seconds * 12, rate=12)
        turns = [{"role": "user", "content": "<video>What happens?"}, {"role": "assistant", "content": "It turns."}]
        rows.append({"messages": turns, "videos": [f"{seconds}.mp4"]})
    (tmp_path / "data.json").write_text(json.dumps(rows))
    columns = {"messages": "messages", "videos": "videos"}
    entry = {"file_name": "data.json", "formatting": "sharegpt", "columns": columns, "tags": TAGS}
    (tmp_path / "dataset_info.json").write_text(json.dumps({"data": entry}))
    train = yaml.safe_load((ROOT / "train/recipes/minicpm_v_4_5_lora.yaml").read_text())
    train |= {
        "model_name_or_path": "model",
        "dataset": "data",
        "dataset_dir": ".",
        "media_dir": ".",
        "output_dir": "out",
    }
    train |= {"bf16": False, "use_cpu": True, "num_train_epochs": 1.0, "logging_steps": 1, "report_to": "none"}
    train |= {"preprocessing_num_workers": 1, "save_only_model": False, "cutoff_len": 2048, "learning_rate": 0.01}
    train |= {"enable_high_fps": True, "packing_maxlen": 3, "video_fps": 2.0, "video_maxlen": 20}
    train |= {"disable_gradient_checkpointing": True}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(train))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the model's own code is partly in tests/

    shop = Workshop(tmp_path)
    said = shop.curate("check", "train.yaml", "--verify-with-trainer", "5")
    assert "CFG313" in said and "2 of 2 rows agree" in said
    assert f"{28 * 64} of media" in said or f"{28 * 66} of media" in said
    said = shop.curate("train", "train.yaml", FORCE_TORCHRUN="1", NPROC_PER_NODE="1")
    assert "train.plugins.minicpm_high_fps" in said and "distributed training: True" in said
    assert "56 frames in 28 blocks" in said
    verified = said.partition("verified:\n")[2].splitlines()
    assert verified and all(line.strip().startswith("ok") for line in verified)
