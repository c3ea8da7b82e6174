"""What adapters make of one weight, computed as PEFT does (0.18.1, tuners/lora: merge), to be held against a merge."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.tensors import Weights, weights_of
from validators.budgets.text import read_config
from validators.probes.safetensors import TensorInfo
from validators.replay.adapter import CONFIG, find_target, module_of

SHARE = 0.05
"""The part of a change that may differ: far above what the order of sums does, far below a change that is missing."""


class NotComputedError(Exception):
    """A kind of adapter whose sum is not computed here; the text names it."""


@dataclass(frozen=True, slots=True)
class Update:
    """One adapter's change of one weight: `whole` in its place, then scale * left @ right added, then DoRA's norm.

    `left` is [rows, r] and `right` [r, columns] of the weight as it is stored; `magnitude` is [rows].
    """

    whole: Any = None
    left: Any = None
    right: Any = None
    scale: float = 1.0
    magnitude: Any = None

    def applied(self, rows: Any, start: int, stop: int) -> Any:  # noqa: ANN401 (torch tensors)
        """These rows of the weight after the change, rounded to their own precision as PEFT does."""
        if self.whole is not None:
            rows = self.whole[start:stop].to(rows.dtype)
        if self.left is None:
            return rows
        change = (self.left[start:stop] @ self.right) * self.scale
        if self.magnitude is None:
            return (rows + change).to(rows.dtype)
        total = rows + change
        factor = self.magnitude[start:stop] / total.norm(dim=1)
        return (factor.view(-1, 1) * total).to(rows.dtype)


class Chain:
    """Adapters in the order in which they are merged."""

    def __init__(self, folders: Sequence[Path], base: Mapping[str, TensorInfo]) -> None:
        self.adapters = [(weights_of(folder), read_config(folder / CONFIG)) for folder in folders]
        self.places: list[dict[str, dict[str, str]]] = []
        """Of each adapter: the base's tensor -> part (lora_A, …, whole) -> the adapter's tensor."""
        for weights, _ in self.adapters:
            found: dict[str, dict[str, str]] = {}
            known: dict[str, str | None] = {}
            for name in weights.infos:
                module, part = module_of(name)
                if module not in known:
                    known[module] = find_target(module, base)
                target = known[module]
                if target is not None:
                    found.setdefault(target, {})[part] = name
            self.places.append(found)

    @property
    def targets(self) -> set[str]:
        """The base's tensors that any adapter changes."""
        return {target for places in self.places for target in places}

    def updates(self, target: str, shape: tuple[int, ...]) -> list[Update]:
        """The changes of one weight, in order; NotComputedError for a kind that is not known."""
        found = []
        for (weights, config), places in zip(self.adapters, self.places, strict=True):
            if target in places:
                found.append(update(weights, config, places[target], shape))
        return found


def update(weights: Weights, config: Mapping[str, object], named: Mapping[str, str], shape: tuple[int, ...]) -> Update:
    """One adapter's change of a weight of this shape."""
    import torch

    kind = str(config.get("peft_type", "LORA"))
    if kind != "LORA":
        raise NotComputedError(kind)
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.startswith(("pissa", "corda", "olora")):
        raise NotComputedError(f"{start}: the base's weights are changed when it is loaded")
    read = {part: weights.whole(name).to(torch.float32) for part, name in named.items()}
    if "bias" in read:
        raise NotComputedError("lora_bias")
    whole = read.get("whole")
    down, up = read.get("lora_A"), read.get("lora_B")
    if "lora_embedding_A" in read:
        down, up = read["lora_embedding_A"], read["lora_embedding_B"]
    if down is None or up is None:
        return Update(whole=whole)
    if down.dim() != 2 or len(shape) != 2:
        raise NotComputedError("convolutions")
    turned = bool(config.get("fan_in_fan_out")) or "lora_embedding_A" in read
    left, right = (down.T, up.T) if turned else (up, down)
    if (left.shape[0], right.shape[1]) != shape:
        raise NotComputedError(f"factors of {left.shape[0]} x {right.shape[1]} for a weight of {shape}")
    magnitude = read.get("lora_magnitude_vector")
    if magnitude is not None and turned:
        raise NotComputedError("DoRA of embeddings")
    name = next(iter(named.values()))
    return Update(whole, left, right, scale_of(config, name), magnitude)


def scale_of(config: Mapping[str, object], name: str) -> float:
    """lora_alpha / r, or / sqrt(r) with use_rslora, by the module's own entry in alpha_pattern and rank_pattern."""
    module = module_of(name)[0].removesuffix(".weight")
    alpha = by_pattern(config.get("alpha_pattern"), module, config.get("lora_alpha", 8))
    rank = by_pattern(config.get("rank_pattern"), module, config.get("r", 8))
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def by_pattern(patterns: object, module: str, default: object) -> float:
    """A module's own number (PEFT 0.18.1, utils/other.py: get_pattern_key), else the default."""
    if isinstance(patterns, Mapping):
        for pattern, value in patterns.items():
            if re.fullmatch(rf"(.*\.)?({pattern})", module):
                return float(value)
    return float(default) if isinstance(default, int | float) else 8.0


def expectations(rows: Any, after: Any, updates: Sequence[Update], start: int, stop: int) -> Iterator[Any]:  # noqa: ANN401
    """What the merged rows can be: by the precision in which the trainer had loaded the base.

    LLaMA-Factory 0.9.5 merges in the precision of the load (model/patcher.py: compute_dtype; half or single precision
    for a base in single precision, as the machine has it) and converts afterwards (train/tuner.py: export_model).
    """
    import torch

    for load in dict.fromkeys((after.dtype, rows.dtype, torch.float16)):
        value = rows.to(load)
        for each in updates:
            value = each.applied(value, start, stop)
        yield value.to(after.dtype)
