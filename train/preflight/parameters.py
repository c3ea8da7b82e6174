"""A model's parameters, counted from the headers of its files: all of them, and those that a run trains.

Sources: llamafactory 0.9.5, model/adapter.py: _setup_full_tuning, _setup_freeze_tuning, _setup_lora_tuning,
model/model_utils/misc.py: find_all_linear_modules, visual.py: get_forbidden_modules, patch_target_modules; peft 0.18,
tuners/lora/layer.py: update_layer (rank × inputs and outputs × rank).
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

from train.trainer import installed_version
from validators.budgets.config_values import within
from validators.errors import UsageFault
from validators.probes.safetensors import TensorInfo, tensors_of
from validators.replay.arguments import Arguments

BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1}
NOT_LINEAR = re.compile(r"embed|wte|wpe|\.experts\.\d+\.|norm", re.IGNORECASE)
"""Matrices that are no Linear module: embeddings, and experts, which transformers 5 joins into one tensor."""
HEADS = ("lm_head", "output_layer")
HUGE = 1 << 24
SHAPE_KEYS = ("hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size", "num_attention_heads")


@dataclass(frozen=True, slots=True)
class Parts:
    """Words in the names of a composite model's modules that tell its parts apart."""

    projector: tuple[str, ...] = ()
    vision: tuple[str, ...] = ()
    conflict: tuple[str, ...] = ()
    """Modules that LoRA leaves out."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a language model decides how large its activations are."""

    hidden: int
    intermediate: int
    layers: int
    vocabulary: int
    heads: int


@dataclass(frozen=True, slots=True)
class Parameters:
    """Numbers of parameters. `matrices`: of linear modules, which quantization makes smaller; `largest`: of the
    largest module by itself."""

    total: int
    trainable: int
    adapter: bool
    """Whether the trained ones come on top of `total`."""
    matrices: int
    largest: int
    shape: Shape | None
    half: bool
    """Whether the files hold 16-bit numbers."""


@cache
def composite_models() -> Mapping[str, Parts]:
    """The table of composite models in the installed llamafactory's source, read as text, by model_type."""
    installed_version()
    path = Path(str(distribution("llamafactory").locate_file("llamafactory/model/model_utils/visual.py")))
    found = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_register_composite_model":
            given = {word.arg: ast.literal_eval(word.value) for word in node.keywords}
            # the defaults of that function
            found[str(given["model_type"])] = Parts(
                tuple(given.get("projector_keys") or ["multi_modal_projector"]),
                tuple(given.get("vision_model_keys") or ["vision_tower"]),
                tuple(given.get("lora_conflict_keys") or []),
            )
    return found


def count_parameters(model: str | None, arguments: Arguments) -> Parameters | str:
    """A local model's parameters, or in words why they are not known."""
    folder = Path(model) if model else None
    if folder is None or not folder.is_dir():
        return f"{model} is not on this machine" if model else "no model_name_or_path"
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tensors = tensors_of(folder)
    except (OSError, ValueError, RecursionError) as error:
        return f"{folder}: {str(error).splitlines()[0]}"
    except UsageFault as fault:
        return str(fault)
    if not tensors or not isinstance(config, dict):
        return f"{folder} holds no safetensors files"
    parts = composite_models().get(str(config.get("model_type")))
    sizes = {name: math.prod(info.shape) for name, info in tensors.items()}
    method = arguments["finetuning_type"]
    if method == "lora":
        trained = lora(tensors, parts, arguments)
    elif method == "full":
        trained = sum(count for name, count in sizes.items() if not frozen(name, parts, arguments))
    elif method == "freeze":
        trained = last_layers(sizes, shape_of(config), parts, arguments)
    else:
        return f"finetuning_type: {method} is not estimated"
    modules: Counter[str] = Counter()
    for name, count in sizes.items():
        modules[name.rpartition(".")[0]] += count
    return Parameters(
        total=sum(sizes.values()),
        trainable=trained,
        adapter=method == "lora",
        matrices=sum(count for name, count in sizes.items() if is_linear(name, tensors[name])),
        largest=max(modules.values()),
        shape=shape_of(config),
        half=all(BYTES.get(info.dtype, 4) <= 2 for info in tensors.values()),
    )


def shape_of(config: Mapping[str, object]) -> Shape | None:
    """The language model's sizes; None where the config does not tell them in the usual words."""
    inner = config.get("text_config") or config.get("llm_config") or config
    values = [
        within(inner.get(key, config.get(key)) if isinstance(inner, Mapping) else None, 1, HUGE) for key in SHAPE_KEYS
    ]
    known = [value for value in values if value is not None]
    return Shape(*known) if len(known) == len(SHAPE_KEYS) else None


def of_part(name: str, words: Iterable[str]) -> bool:
    """Whether a tensor is of a part; files of older releases lack the leading `model.`."""
    return any(word.removeprefix("model.") in name for word in words)


def frozen(name: str, parts: Parts | None, arguments: Arguments) -> bool:
    """Whether a tensor is kept as it is."""
    if parts is None:
        return False
    vision, projector = of_part(name, parts.vision), of_part(name, parts.projector)
    return (
        (vision and arguments.on("freeze_vision_tower"))
        or (projector and arguments.on("freeze_multi_modal_projector"))
        or (not vision and not projector and arguments.on("freeze_language_model"))
    )


def is_linear(name: str, info: TensorInfo) -> bool:
    """Whether a tensor is the matrix of a Linear module."""
    return name.endswith(".weight") and len(info.shape) == 2 and NOT_LINEAR.search(name) is None


def lora(tensors: Mapping[str, TensorInfo], parts: Parts | None, arguments: Arguments) -> int:
    """Parameters of the adapter, modules that are saved whole included."""
    targets, extra = arguments.names("lora_target"), arguments.names("additional_target")
    rank = arguments.whole("lora_rank", 8)
    every = tuple(targets) == ("all",)
    matrices = {name.removesuffix(".weight"): info for name, info in tensors.items() if is_linear(name, info)}
    if every:
        targets = linear_names(matrices, parts, arguments)
    count = 0
    for name, info in matrices.items():
        # of composite models each module with the word in its name is taken, of others those that end in it
        aimed = any(
            word in name if parts else name.split(".")[-1] == word or name.endswith(f".{word}") for word in targets
        )
        left_out = parts is not None and (frozen(name, parts, arguments) or of_part(name, parts.conflict))
        if aimed and not left_out:
            count += rank * sum(info.shape)
    saved = (math.prod(info.shape) for name, info in tensors.items() if any(f"{word}." in f"{name}." for word in extra))
    return count + sum(saved)


def linear_names(matrices: Iterable[str], parts: Parts | None, arguments: Arguments) -> Sequence[str]:
    """What `lora_target: all` stands for: the last words of all linear modules but heads and frozen parts."""
    words = set()
    for name in matrices:
        if of_part(name, HEADS) or (parts is not None and of_part(name, parts.projector)):
            continue
        if parts is not None and of_part(name, parts.vision) and arguments.on("freeze_vision_tower"):
            continue
        words.add(name.split(".")[-1])
    return sorted(words)


def last_layers(sizes: Mapping[str, int], shape: Shape | None, parts: Parts | None, arguments: Arguments) -> int:
    """Parameters of the layers that freeze tuning trains, the projector included where it is not frozen."""
    chosen = arguments.whole("freeze_trainable_layers", 0, least=-HUGE)
    layers = shape.layers if shape else 0
    numbers = range(max(0, layers - chosen), layers) if chosen > 0 else range(min(-chosen, layers))
    modules = arguments.names("freeze_trainable_modules")
    words = [f".{number}.{'' if word == 'all' else word}" for number in numbers for word in modules]
    words += arguments.names("freeze_extra_modules")
    if parts is not None and not arguments.on("freeze_multi_modal_projector"):
        words += parts.projector
    return sum(
        count for name, count in sizes.items()
        if any(word in name for word in words) and not frozen(name, parts, arguments)
    )  # fmt: skip
