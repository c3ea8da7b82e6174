"""Which saved tokenizers the real trainer loads, in the forms that transformers 4 and 5 write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from validators.llamafactory.trainer import Trainer
from validators.probes import installed
from validators.rules.environment import unread_by_release_4

pytestmark = pytest.mark.trainer
CODE = "from transformers import {base}\n\n\nclass {name}({base}):\n    pass\n"
OWN_FAST = {"auto_map": {"AutoTokenizer": ["own.OwnTokenizerFast", None]}, "tokenizer_class": "OwnTokenizer"}
OWN_SLOW = {"auto_map": {"AutoTokenizer": ["own.OwnTokenizer", None]}, "tokenizer_class": "OwnTokenizer"}
FIVE = {"backend": "tokenizers", "is_local": True}
"""What transformers 5 adds to each tokenizer_config.json."""
FORMS: dict[str, dict[str, object]] = {
    "class of 4": {"tokenizer_class": "PreTrainedTokenizerFast", "extra_special_tokens": {"image_token": "<image>"}},
    "class of both": {"tokenizer_class": "Qwen2Tokenizer", **FIVE},
    "class of 5": {"tokenizer_class": "TokenizersBackend", **FIVE},
    "class of 5 beside own code": {**OWN_FAST, "tokenizer_class": "TokenizersBackend", **FIVE},
    "list of tokens": {"tokenizer_class": "Qwen2Tokenizer", "extra_special_tokens": ["<image>"], **FIVE},
    "empty list of tokens": {"tokenizer_class": "Qwen2Tokenizer", "extra_special_tokens": [], **FIVE},
    "own code, fast": {**OWN_FAST, **FIVE},
    "own code, fast, list of tokens": {**OWN_FAST, "extra_special_tokens": ["<image>"], **FIVE},
    "own code, slow, saved by 5": {**OWN_SLOW, **FIVE},
    "own code, slow, saved by 4": {**OWN_SLOW},
}


def vocabulary(folder: Path, files: bool) -> None:
    """A tokenizer of bytes, as tokenizer.json, and as vocab.json and merges.txt too."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: number for number, letter in enumerate([*letters, "<|endoftext|>"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    tokenizer.save(str(folder / "tokenizer.json"))
    if files:
        (folder / "vocab.json").write_text(json.dumps(vocab))
        (folder / "merges.txt").write_text("#version: 0.2\n")


def lay(folder: Path, form: dict[str, object]) -> None:
    """A model folder with a tokenizer of that form."""
    folder.mkdir()
    vocabulary(folder, files="backend" not in form)
    (folder / "tokenizer_config.json").write_text(json.dumps(form | {"eos_token": "<|endoftext|>"}))
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    code = CODE.format(name="OwnTokenizerFast", base="Qwen2TokenizerFast")
    (folder / "own.py").write_text(code + CODE.format(name="OwnTokenizer", base="Qwen2Tokenizer"))


def here() -> Trainer:
    """The trainer that is imported."""
    trainer = installed.trainer()
    assert trainer is not None
    return trainer


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_refused_where_the_trainer_refuses_it(name: str, tmp_path: Path) -> None:
    from llamafactory.hparams import ModelArguments
    from llamafactory.model.loader import load_tokenizer

    folder = tmp_path / "model"
    lay(folder, FORMS[name])
    words = unread_by_release_4(folder, FORMS[name]) if here().has("tokenizers-of-release-4") else ""
    try:
        load_tokenizer(ModelArguments(model_name_or_path=str(folder), trust_remote_code=True))
        said = ""
    except (ValueError, OSError, AttributeError, TypeError) as error:
        said = f"{error} {error.__cause__}"
    assert bool(said) is bool(words), said
    assert words in said


def test_what_this_transformers_saves_is_of_its_own_release(tmp_path: Path) -> None:
    """A tokenizer without a class of its own, and one with tokens beside the usual ones."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast, Qwen2TokenizerFast

    vocabulary(tmp_path, files=True)
    made = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|endoftext|>").save_pretrained(tmp_path / "nameless")
    loaded = Qwen2TokenizerFast.from_pretrained(tmp_path)
    loaded.add_special_tokens({"additional_special_tokens": ["<image>"]})
    loaded.save_pretrained(tmp_path / "named")
    for name in ("nameless", "named"):
        config = json.loads((tmp_path / name / "tokenizer_config.json").read_text())
        refused = unread_by_release_4(tmp_path / name, config)
        assert bool(refused) is not here().has("tokenizers-of-release-4"), config
