"""A tiny byte-level BPE with the special tokens that a family's processor asks its tokenizer for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.installed import major_transformers


def fast_class(name: str) -> Any:
    """The tokenizer class of that name where processors take no other: in transformers 4.

    In transformers 5 the general one: processors take any, and the named ones build a pre-tokenizer of their own.
    Source: processing_utils.py: check_argument_for_proper_class, 4.57.1 and 5.5.4.
    """
    import transformers

    return getattr(transformers, name if major_transformers() == 4 else "PreTrainedTokenizerFast")


def tiny_tokenizer(
    specials: Sequence[str], named: Mapping[str, str] | None = None, kind: str = "PreTrainedTokenizerFast"
) -> Any:
    """A fast tokenizer, of the class `kind` where that matters.

    `named` become its attributes (`image_token` …), as in a released tokenizer_config.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["What is it? It is a cat. user assistant system Frame"], trainer)
    names = dict(named or {})
    tokens = dict.fromkeys(["<bos>", "<eos>", "<pad>", *specials, *names.values()])
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in tokens])
    return fast_class(kind)(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<pad>",
        extra_special_tokens=names,
    )
