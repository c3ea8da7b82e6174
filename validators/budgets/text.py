"""Text tokens by the model's own tokenizer.json, in batches, without transformers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from validators.errors import UsageFault

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class TextCounter:
    """A tokenizer and what its config says of the special tokens that templates name."""

    path: Path
    tokenizer: Tokenizer
    has_bos: bool
    assumed: str = ""
    """Which published tokenizer this is taken to be; empty where it is the model's own."""
    remembered: dict[str, int] = field(default_factory=dict)

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens not added (template.py: `encode(…, add_special_tokens=False)`)."""
        return [len(item.ids) for item in self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def positions(self, texts: Sequence[str], watched: Sequence[str]) -> list[tuple[int, tuple[int, ...]]]:
        """Tokens of each text, and the places of the watched tokens in it."""
        ids = {self.tokenizer.token_to_id(token) for token in watched}
        found = []
        for encoding in self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False):
            tokens = encoding.ids
            found.append((len(tokens), tuple(place for place, token in enumerate(tokens) if token in ids)))
        return found

    def count(self, text: str) -> int:
        """Tokens of one text."""
        return self.counts([text])[0]

    def short(self, text: str) -> int:
        """Tokens of a short text that comes again and again, remembered."""
        known = self.remembered.get(text)
        if known is None:
            known = self.remembered[text] = self.count(text)
        return known

    def add_special(self, tokens: Sequence[str]) -> None:
        """Make texts special tokens, as the trainer does with a template's stop words (template.py:
        fix_special_tokens) and transformers with those of tokenizer_config.json."""
        from tokenizers import AddedToken

        self.tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])

    def is_single(self, token: str) -> bool:
        """Whether the text is one added token, which splits the text around it."""
        return self.tokenizer.token_to_id(token) is not None and self.count(token) == 1


def find_tokenizer(model: str | None, override: str | None) -> TextCounter | None:
    """The tokenizer of `--tokenizer`, of a local model folder, or of a model in the local Hub cache; else None."""
    if override is not None:
        path = Path(override)
        path = path / "tokenizer.json" if path.is_dir() else path
        if not path.is_file():
            raise UsageFault(override, "no tokenizer.json there", "a tokenizer.json or the folder that holds one")
        return load_tokenizer(path)
    if model is None:
        return None
    for folder in (Path(model), *hub_snapshots(model)):
        if (folder / "tokenizer.json").is_file():
            return load_tokenizer(folder / "tokenizer.json")
    return None


def load_tokenizer(path: Path) -> TextCounter:
    """Read a tokenizer.json and the tokenizer_config.json beside it."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception for every kind of bad file
        raise UsageFault(path, f"not a tokenizer: {error}", "a tokenizer.json of the tokenizers library") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    config = read_config(path.with_name("tokenizer_config.json"))
    counter = TextCounter(path, tokenizer, config.get("bos_token") is not None)
    counter.add_special(special_tokens(config))
    return counter


def special_tokens(config: Mapping[str, object]) -> list[str]:
    """The special tokens that a tokenizer_config.json names, which transformers adds to the tokenizer's own."""
    named = [config.get(f"{role}_token") for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")]
    for key in ("additional_special_tokens", "extra_special_tokens"):
        more = config.get(key)
        named += more.values() if isinstance(more, Mapping) else more if isinstance(more, list) else []
    added = config.get("added_tokens_decoder")
    if isinstance(added, Mapping):
        named += [item for item in added.values() if isinstance(item, Mapping) and item.get("special")]
    texts = [item.get("content") if isinstance(item, Mapping) else item for item in named]
    return list(dict.fromkeys(text for text in texts if isinstance(text, str) and text))


def hub_snapshots(model: str) -> list[Path]:
    """Snapshot folders of a hub model in the local cache, newest first (huggingface_hub's cache layout)."""
    if model.count("/") != 1 or model.startswith((".", "/")):
        return []
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    snapshots = cache / f"models--{model.replace('/', '--')}" / "snapshots"
    if not snapshots.is_dir():
        return []
    return sorted(snapshots.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)


def model_folder(model: str | None) -> Path | None:
    """The folder that holds a model's config files, if it is on this machine."""
    if model is None:
        return None
    if Path(model).is_dir():
        return Path(model)
    return next(iter(hub_snapshots(model)), None)


def model_config(model: str | None) -> Mapping[str, object]:
    """A model's config.json; empty where it is not on this machine."""
    folder = model_folder(model)
    return {} if folder is None else read_config(folder / "config.json")


def read_config(path: Path) -> Mapping[str, object]:
    """A config file as a mapping; empty where it is missing or broken (the trainer's own loader reports that)."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
