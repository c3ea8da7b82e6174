"""MiniCPM's published code as a family of the agreement suite: code and vocabulary real, the network small and random.

The folder holds a published model's files without its weights (MMCURATE_REAL_MINICPM); nothing of it is kept here.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.agreement.oracle import Family

SMALL = {
    "hidden_size": 128,  # the resampler has a head for each 128
    "intermediate_size": 128,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_window_layers": 1,
    "torch_dtype": "float32",
}
SMALL_VISION = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1}


def real_family(source: Path, folder: Path) -> Family:
    """A random model of the published code in `source`, made in `folder`; without tokenizer.json it is made of the
    vocabulary and the merges."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.suffix in (".py", ".json", ".txt"):
            shutil.copy(file, folder)
    config = json.loads((folder / "config.json").read_text()) | SMALL
    config["vision_config"] |= SMALL_VISION
    (folder / "config.json").write_text(json.dumps(config))
    if not (folder / "tokenizer.json").is_file():
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
        tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    AutoModelForCausalLM.from_config(
        AutoConfig.from_pretrained(folder, trust_remote_code=True), trust_remote_code=True
    ).save_pretrained(folder)
    return loaded_family(folder)


def loaded_family(folder: Path, name: str = "v-4.5", template: str = "minicpm_v") -> Family:
    """A MiniCPM with code of its own, as the trainer loads it; every row is run through the network."""
    import torch
    from transformers import AutoModelForCausalLM, AutoProcessor

    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    processor.tokenizer.padding_side = "right"
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype=torch.float32)
    return Family(name, template, folder, processor, model.train(), every=1)
