"""The real transformers processors of model families, built offline over a small tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.agreement.processors.tokenizers import fast_class

TEXT = ["You are a helpful assistant. What is it? It is a cat. user assistant system <0.3 seconds> 12 seconds"]


def tokenizer(special: Sequence[str], named: Mapping[str, str] | None = None) -> Any:
    """A byte-level BPE with these special tokens; `named` become attributes, as `image_token`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.normalizer = normalizers.NFC()
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    tokens = dict.fromkeys(["<|endoftext|>", "<|im_start|>", "<|im_end|>", *special, *(named or {}).values()])
    raw.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])
    return fast_class("Qwen2TokenizerFast")(
        tokenizer_object=raw,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(special),
        extra_special_tokens=dict(named or {}),
    )


def text_config(made: Any, **more: object) -> dict[str, Any]:
    """A language model of a few thousand parameters over the processor's vocabulary."""
    return {
        "vocab_size": len(made.tokenizer),
        "pad_token_id": made.tokenizer.pad_token_id,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 8192,
        # transformers 4's names, which 5 takes as well
        "rope_scaling": {"rope_type": "default", "mrope_section": [2, 3, 3]},
        "rope_theta": 10000.0,
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
