"""The tokenizer with MiniCPM's ids, and a slow one beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast


class Ids:
    """What MiniCPM's processor and LLaMA-Factory's plugin ask a tokenizer for."""

    im_start_id = property(lambda self: self.convert_tokens_to_ids("<image>"))
    im_end_id = property(lambda self: self.convert_tokens_to_ids("</image>"))
    slice_start_id = property(lambda self: self.convert_tokens_to_ids("<slice>"))
    slice_end_id = property(lambda self: self.convert_tokens_to_ids("</slice>"))


class OwnTokenizer(Ids, PreTrainedTokenizer):
    vocab_files_names: ClassVar[dict[str, str]] = {"vocab_file": "vocab.json"}

    def __init__(self, vocab_file: str, **kwargs: Any) -> None:
        self.vocabulary = json.loads(Path(vocab_file).read_text(encoding="utf-8"))
        super().__init__(**kwargs)

    @property
    def vocab_size(self) -> int:
        return len(self.vocabulary)

    def get_vocab(self) -> dict[str, int]:
        return self.vocabulary | self.added_tokens_encoder

    def _tokenize(self, text: str, **_: Any) -> list[str]:
        return list(text)

    def _convert_token_to_id(self, token: str) -> int:
        return int(self.vocabulary.get(token, 0))

    def _convert_id_to_token(self, index: int) -> str:
        return next((token for token, number in self.vocabulary.items() if number == index), "")

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        path = Path(save_directory) / "vocab.json"
        path.write_text(json.dumps(self.vocabulary), encoding="utf-8")
        return (str(path),)


class OwnTokenizerFast(Ids, PreTrainedTokenizerFast):
    slow_tokenizer_class = OwnTokenizer
