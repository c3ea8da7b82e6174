"""The real transformers processors of model families, built offline over a small tokenizer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TEXT = ["You are a helpful assistant. What is it? It is a cat. user assistant system <0.3 seconds> 12 seconds"]


def tokenizer(special: Sequence[str], named: Mapping[str, str] | None = None) -> Any:
    """A byte-level BPE with these special tokens; `named` become attributes, as `image_token`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.normalizer = normalizers.NFC()
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    tokens = dict.fromkeys(["<|endoftext|>", "<|im_start|>", "<|im_end|>", *special, *(named or {}).values()])
    raw.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=dict(named) if named else list(special),
    )


def saved(made: Any, folder: Path) -> Any:
    """The processor saved to the folder and loaded from there as LLaMA-Factory's load_tokenizer does."""
    from transformers import AutoProcessor

    made.save_pretrained(folder)
    return AutoProcessor.from_pretrained(folder, use_fast=True, local_files_only=True)


def configs_of(folder: Path) -> dict[str, Mapping[str, object]]:
    """The nested configs of a processor_config.json, or the plain files of older models."""

    def read(name: str) -> dict[str, Any]:
        path = folder / name
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    top, plain = read("processor_config.json"), read("preprocessor_config.json")
    return {
        "image": top.get("image_processor", plain),
        "video": top.get("video_processor") or read("video_preprocessor_config.json") or plain,
        "audio": top.get("feature_extractor", plain),
        "processor": top,
    }


def text_config(made: Any, **more: object) -> dict[str, Any]:
    """A language model of a few thousand parameters over the processor's vocabulary."""
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
    return {
        "vocab_size": len(made.tokenizer),
        "pad_token_id": made.tokenizer.pad_token_id,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 8192,
        "rope_parameters": rope,
    } | more


VISION = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 64}
AUDIO = {
    "d_model": 32,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "num_mel_bins": 128,
}


def ids_of(made: Any, **tokens: str) -> dict[str, int]:
    """Config keys with the ids of tokens."""
    return {key: made.tokenizer.convert_tokens_to_ids(token) for key, token in tokens.items()}
