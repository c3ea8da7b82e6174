"""A tokenizer folder in the form in which models are published, read by every release of transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TEXT = ("What is it? It is a cat. user assistant system model Frame <0.3 seconds> 12 seconds",)
CHAT_TOKENS = ("<bos>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>")

WITHIN = {"GemmaTokenizer", "LlamaTokenizer"}
"""Classes whose published vocabularies hold the special tokens too; the others add them after it."""


def save_tokenizer(
    folder: Path, kind: str, tokens: Sequence[str] = (), named: Mapping[str, str] | None = None
) -> Mapping[str, int]:
    """Write a byte-level BPE of class `kind` with these special tokens, and return its vocabulary.

    `named` are the tokens that a processor asks its tokenizer for, as `image_token`. The files are written by hand, as
    a tokenizer that transformers 5 saves need not load in 4.57.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    folder.mkdir(parents=True, exist_ok=True)
    raw = Tokenizer(models.BPE())
    raw.normalizer = normalizers.NFC()
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    names = dict(named or {})
    special = list(dict.fromkeys([*CHAT_TOKENS, *tokens, *names.values()]))
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        special_tokens=special if kind in WITHIN else [],
    )
    raw.train_from_iterator(TEXT, trainer)
    raw.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    raw.save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": kind,
        "bos_token": "<bos>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<unk>",
        "model_max_length": 32768,
        **names,
        **({"extra_special_tokens": names} if names else {"additional_special_tokens": list(tokens)}),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    pairs = (pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"])
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{pair}\n" for pair in pairs))
    vocabulary: Mapping[str, int] = raw.get_vocab()
    return vocabulary
