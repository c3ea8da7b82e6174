"""The trainer's arguments: a yaml's values, with the trainer's defaults where it has none."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from validators.llamafactory.keys import trainer_keys
from validators.llamafactory.trainer import REFERENCE, Trainer
from validators.numbers import bounded


class Arguments:
    """The yaml's values as the trainer holds them before its checks."""

    def __init__(self, raw: Mapping[str, object], trains: bool = True, trainer: Trainer = REFERENCE) -> None:
        self.raw = raw
        self.trains = trains
        self.trainer = trainer

    def __getitem__(self, key: str) -> object:
        """The value as written, None for an empty one; the default where the key is absent or has none."""
        return self.raw[key] if key in self.raw else trainer_keys(self.trainer).get(key)

    def on(self, key: str) -> bool:
        """Whether the trainer takes the value for true: any text is, also "false"."""
        return bool(self[key])

    def given(self, key: str) -> bool:
        """Whether there is any value."""
        return self[key] is not None

    def number(self, key: str) -> float | None:
        """The value where it is a number, a finite one cut at numbers.MOST."""
        value = self[key]
        return bounded(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def whole(self, key: str, default: int, least: int = 1) -> int:
        """The value as a whole number where it is a finite number of at least `least`, else the default."""
        value = self.number(key)
        return int(value) if value is not None and math.isfinite(value) and value >= least else default

    def beyond(self, key: str, bound: float) -> bool:
        """Whether the value is a number above the bound."""
        value = self.number(key)
        return value is not None and value > bound

    def among(self, key: str, *choices: object) -> bool:
        """Whether the value is one of these."""
        return self[key] in choices

    def names(self, key: str) -> Sequence[str]:
        """A list, or text with commas, as names."""
        value = self[key]
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else ()
        return tuple(str(part).strip() for part in parts)

    def shown(self, *keys: str) -> str:
        """The keys with their values as a finding names them."""
        return " with ".join(f"{key}: {plain(self[key])}" for key in keys)

    def takes(self, key: str) -> bool:
        """Whether the trainer has the key at all, in this kind of yaml."""
        return key in trainer_keys(self.trainer, self.trains)

    @property
    def holds_out(self) -> bool:
        """Whether a part of the training data is kept for evaluation."""
        return self.beyond("val_size", 1e-6)

    @property
    def evaluates(self) -> bool:
        """Whether evaluation, prediction or generation was asked for; a strategy asks for it too."""
        asked = any(self.on(key) for key in ("do_eval", "do_predict", "predict_with_generate"))
        return asked or self["eval_strategy"] in ("steps", "epoch")

    @property
    def uses_reference(self) -> bool:
        """Whether DPO compares with a reference model (hparams/finetuning_args.py: use_ref_model)."""
        return self.among("stage", "dpo") and not self.among("pref_loss", "orpo", "simpo")

    @cached_property
    def deepspeed(self) -> DeepSpeedFile | None:
        """The DeepSpeed configuration; None where none is named."""
        value = self["deepspeed"]
        return read_deepspeed(value) if value else None

    @property
    def zero3(self) -> bool:
        """Whether DeepSpeed shards the weights."""
        return self.deepspeed is not None and self.deepspeed.value("zero_optimization.stage") == 3


@dataclass(frozen=True, slots=True)
class DeepSpeedFile:
    """A DeepSpeed configuration: its contents, or why it cannot be read."""

    contents: Mapping[str, object]
    fault: str = ""

    def value(self, path: str) -> object:
        """What stands at `a.b.c`, None where nothing does."""
        node: object = self.contents
        for part in path.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        return node


def read_deepspeed(value: object) -> DeepSpeedFile:
    """From a path, from JSON in the yaml, or from a mapping there (transformers 5.6.0, training_args.py)."""
    if isinstance(value, str):
        there = exists(value)
        try:
            value = json.loads(Path(value).read_text(encoding="utf-8") if there else decoded(value))
        except (OSError, ValueError, RecursionError) as error:
            return DeepSpeedFile({}, f"not JSON: {str(error).splitlines()[0]}" if there else "no such file")
    if not isinstance(value, Mapping):
        return DeepSpeedFile({}, f"a JSON {type(value).__name__}, no object")
    return DeepSpeedFile(value)


def exists(path: str) -> bool:
    """Whether there is such a file or folder; text that can be no path names none."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def decoded(value: str) -> str:
    """JSON as it is, or from base64; ValueError where it is neither (accelerate 1.11.0, utils/deepspeed.py)."""
    return value if value.lstrip().startswith("{") else base64.urlsafe_b64decode(value).decode("utf-8")


def plain(value: object) -> str:
    """A value as the yaml would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "null" if value is None else str(value)
