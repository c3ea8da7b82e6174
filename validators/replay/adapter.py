"""An adapter beside the base that it is laid over: what it changes, and whether the base has that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from validators.budgets.text import read_config
from validators.probes.safetensors import TensorInfo

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
LORA_PART = re.compile(r"^(?P<module>.+)\.(?P<part>lora_(?:embedding_)?[AB]|lora_magnitude_vector)(?P<rest>\..+)?$")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A local adapter folder."""

    folder: Path

    @property
    def whole(self) -> bool:
        """Whether PEFT finds a configuration and weights there."""
        return (self.folder / CONFIG).is_file() and any((self.folder / name).is_file() for name in WEIGHTS)

    @property
    def config(self) -> Mapping[str, object]:
        """Its configuration; empty where it cannot be read."""
        return read_config(self.folder / CONFIG)

    @property
    def base(self) -> str:
        """The base that its configuration names, "" where it names none."""
        return str(self.config.get("base_model_name_or_path") or "")


def module_of(name: str) -> tuple[str, str]:
    """The weight that an adapter's tensor changes, and which part of the change it is.

    The part is lora_A, lora_B, lora_embedding_A, lora_embedding_B, lora_magnitude_vector (DoRA), bias (lora_bias), or
    "whole" for what was trained and saved as it is (modules_to_save).
    """
    module = name.removeprefix("base_model.model.").replace(".base_layer.", ".").replace(".modules_to_save.", ".")
    match = LORA_PART.match(module)
    if match is None:
        return module, "whole"
    if (match["rest"] or "").endswith(".bias"):
        return f"{match['module']}.bias", "bias"
    return f"{match['module']}.weight", match["part"]


def find_target(name: str, base: Mapping[str, TensorInfo]) -> str | None:
    """The base's name of a module's weight; None where it has none, or several that may be meant."""
    fitting = candidates(name, base)
    return fitting[0] if len(fitting) == 1 else None


def candidates(name: str, base: Mapping[str, TensorInfo]) -> list[str]:
    """The base's names that may stand for a module's weight.

    transformers renames modules between file and memory (Qwen2-VL: `model.layers.0` on disk, and
    `model.language_model.layers.0` in memory), so the longest common end decides, from the layer's number on.
    """
    if name in base:
        return [name]
    parts = name.split(".")
    number = next((place for place, part in enumerate(parts) if part.isdigit()), None)
    if not number:
        return []
    end = "." + ".".join(parts[number - 1 :])
    visual = "visual" in name or "vision" in name
    return [known for known in base if known.endswith(end) and ("visual" in known or "vision" in known) == visual]


def from_layer(name: str) -> str:
    """A weight's module from its layer's number on (`layers.0.self_attn.q_proj`); "" for one outside the layers."""
    parts = name.split(".")[:-1]
    number = next((place for place, part in enumerate(parts) if part.isdigit()), 0)
    return ".".join(parts[number - 1 :]) if number else ""
