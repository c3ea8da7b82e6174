"""Model folders: a tiny random model of transformers' class, or of published code with small sizes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.support.families import PublishedFamily, SupportFamily
from scripts.support.tokenizers import save_tokenizer
from train.tiny import split_as_qwen2

SEED = 7


def make_folder(family: SupportFamily, folder: Path) -> bool:
    """Write config.json, tokenizer, processor and weights; False when the installed transformers lacks a class.

    What it lacks is left out: the trainer then meets the folder as it meets a published model of that family.
    """
    import torch
    import transformers
    from safetensors.torch import save_file

    ids = save_tokenizer(folder, family.tokenizer, family.tokens, family.named)
    plain = {**family.config(ids), "architectures": [family.architecture]}
    write_config(folder, plain)
    known = hasattr(transformers, family.architecture)
    try:
        if family.processor is not None:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            save_processor(family.processor(tokenizer), folder)
        if known:
            torch.manual_seed(SEED)
            config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
            model = getattr(transformers, family.architecture)(config)
            model.save_pretrained(folder)
            write_config(folder, plain)
            if hasattr(model, "load_speakers"):
                torch.save({}, folder / "spk_dict.pt")
    except ImportError:  # a package that the class needs: the trainer misses it too, if it finds weights
        save_file({"none": torch.zeros(1)}, folder / "model.safetensors", metadata={"format": "pt"})
    except AttributeError:
        if known:
            raise
    return known


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write config.json, in the published form: transformers' own saving may give it another one.

    Saved by 4.57.1, Qwen2-VL's nests a text_config, and what is loaded from it calls itself qwen2_vl_text.
    """
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def save_processor(processor: Any, folder: Path) -> None:
    """The processor's own files; the tokenizer's stay as they were written by hand."""
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    processor.save_pretrained(folder)
    for path, content in kept.items():
        path.write_bytes(content)
    parts = [part for name in ("feature_extractor", "image_processor") if (part := getattr(processor, name, None))]
    if (file := folder / "preprocessor_config.json").is_file() and len(parts) > 1:
        # one file for both: transformers 4 writes the second over the first
        merged = {key: value for part in parts for key, value in json.loads(part.to_json_string()).items()}
        file.write_text(json.dumps(merged | {"processor_class": type(processor).__name__}, indent=2) + "\n")


def make_published(family: PublishedFamily, published: Path, folder: Path) -> None:
    """Copy the published code, with small sizes, a tokenizer and random weights that transformers 4 saves.

    Made once and copied for every pair of versions: a model's files do not change with what reads them.
    """
    import torch
    from transformers import AutoConfig, AutoModel, dynamic_module_utils

    # as the trainer does (llamafactory/extras/misc.py: skip_check_imports)
    dynamic_module_utils.check_imports = dynamic_module_utils.get_relative_imports
    folder.mkdir(parents=True)
    for path in sorted(published.iterdir()):
        if path.suffix in {".py", ".json", ".txt", ".model"} and "index" not in path.name:
            shutil.copy(path, folder / path.name)
    for name, text, repaired in family.repairs:
        code = (folder / name).read_text(encoding="utf-8")
        if text not in code:
            raise ValueError(
                f"{family.folder}/{name}: found no {text!r}, expected the published revision that needs it"
            )
        (folder / name).write_text(code.replace(text, repaired), encoding="utf-8")
    config = shrunk(json.loads((folder / "config.json").read_text()), family.sizes)
    write_config(folder, config)
    if not (folder / "tokenizer.json").is_file() and (folder / "vocab.json").is_file():
        save_qwen_tokenizer(folder)
    torch.manual_seed(SEED)
    loaded = AutoConfig.from_pretrained(folder, trust_remote_code=True, local_files_only=True)
    model = AutoModel.from_config(loaded, trust_remote_code=True).float()
    weights = folder / "weights"
    model.save_pretrained(weights)
    for path in weights.glob("*.safetensors*"):
        path.rename(folder / path.name)
    shutil.rmtree(weights)


def shrunk(config: Mapping[str, Any], sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The config with those keys of `sizes` that it has, in its nested configs too."""
    changed = dict(config)
    for name, value in sizes.items():
        if isinstance(value, Mapping):
            if isinstance(config.get(name), Mapping):
                changed[name] = shrunk(config[name], value)
        elif name in config:
            changed[name] = value
    return changed


def save_qwen_tokenizer(folder: Path) -> None:
    """tokenizer.json from vocab.json, merges.txt and the added tokens of tokenizer_config.json.

    Steps of Qwen2Converter (transformers/convert_slow_tokenizer.py).
    """
    from tokenizers import AddedToken, Tokenizer, models

    raw = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    split_as_qwen2(raw)
    added = json.loads((folder / "tokenizer_config.json").read_text())["added_tokens_decoder"]
    for number in sorted(added, key=int):
        token = added[number]
        raw.add_tokens([AddedToken(token["content"], special=token["special"], normalized=token["normalized"])])
        if raw.token_to_id(token["content"]) != int(number):
            raise ValueError(f"{token['content']}: the published id is {number}")
    raw.save(str(folder / "tokenizer.json"))
