"""A tiny model with code of its own in the shape of MiniCPM's: auto_map for all parts, and a `chat` that tells what it
was shown. `make_own_model` lays out its folder; the modules beside this one are its code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

CODE = Path(__file__).parent / "code"
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>", "<image>", "</image>", "<slice>", "</slice>")
MAPS: dict[str, dict[str, object]] = {
    "config.json": {
        "AutoConfig": "configuration_own.OwnConfig",
        "AutoModelForCausalLM": "modeling_own.OwnModel",
    },
    "tokenizer_config.json": {"AutoTokenizer": ["tokenization_own.OwnTokenizerFast", None]},
    "preprocessor_config.json": {"AutoProcessor": "processing_own.OwnProcessor"},
}
"""File -> auto_map, the tokenizer's written as MiniCPM-V 4.5 writes it: the fast class in the place of the slow one."""
SAVE = """
import sys, torch
from pathlib import Path
from transformers import AutoConfig, AutoModelForCausalLM
folder = sys.argv[1]
torch.manual_seed(5)
config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForCausalLM.from_config(config, trust_remote_code=True)
model.save_pretrained(folder)
if len(sys.argv) > 2:
    from peft import LoraConfig, get_peft_model
    model.config._name_or_path = folder
    model.name_or_path = folder
    tuned = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    tuned.save_pretrained(sys.argv[2])
"""


def make_own_model(folder: Path, adapter: Path | None = None) -> None:
    """Code, tokenizer, processor and random weights; `adapter` gets a LoRA adapter of random numbers for it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    folder.mkdir(parents=True)
    for file in CODE.glob("*.py"):
        shutil.copy(file, folder)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIALS])
    raw.save(str(folder / "tokenizer.json"))
    contents: dict[str, dict[str, object]] = {
        "config.json": {
            "model_type": "own_lm", "architectures": ["OwnModel"], "vocab_size": raw.get_vocab_size(),
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "num_key_value_heads": 2, "tie_word_embeddings": False, "torch_dtype": "float32",
        },
        "tokenizer_config.json": {
            "tokenizer_class": "OwnTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
            "unk_token": "<unk>", "model_max_length": 4096, "chat_template": "{{ messages[0]['content'] }}",
        },
        "preprocessor_config.json": {"processor_class": "OwnProcessor"},
    }  # fmt: skip
    save = [sys.executable, "-c", SAVE, str(folder), *([str(adapter)] if adapter else [])]
    write(folder, contents)
    subprocess.run(save, check=True, capture_output=True)
    write(folder, contents)


def write(folder: Path, contents: dict[str, dict[str, object]]) -> None:
    """The configurations with their auto_maps."""
    for name, values in contents.items():
        (folder / name).write_text(json.dumps(values | {"auto_map": MAPS[name]}, indent=2))
