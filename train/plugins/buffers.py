"""Stops a training whose model was loaded with buffers that its own code did not make.

A model's code may compute tables when the model is constructed and register them as non-persistent buffers: they are
in no checkpoint (`_non_persistent_buffers_set`). transformers 5 constructs every model on the meta device, where
nothing is computed, and allocates such a buffer after that without filling it, unless the code has a step for it that
the library knows (5.5.4, modeling_utils.py: _move_missing_keys_from_meta_to_device, _initialize_missing_keys). Code
that was written for transformers 4 has none: MiniCPM-V 4.5's resampler then adds whatever the memory held (pos_embed
NaN, temporal_pos_embed zero), and the loss is plausible. So after loading, these buffers are held against those of a
plain construction from the same config on the CPU.

That construction has its parameters on the meta device (accelerate's init_empty_weights): it costs the buffers' memory
and no more. Each process compares its own model, for what memory holds differs from one to the next. Not compared, as
their values are no one's fault: buffers that two constructions make differently (drawn by chance), and those of modules
that the plain construction does not have or has of another class (a quantizer's, a kernel's). What a model computes
from its inputs is not there yet: nothing has gone through it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import transformers
from llamafactory.extras import logging
from llamafactory.model import loader

CLOSE = 1e-2
"""Numbers that differ by less than this share of the largest are the same: computed on another device, in another
precision. Memory that was not written to is far off, or NaN."""
MOST_NAMED = 8
Model = Any  # a transformers model
logger = logging.get_logger(__name__)


class WrongBuffersError(ValueError):
    """A model that must not be trained."""


def register() -> None:
    """Compare in load_model, between the weights and the adapters; a second time changes nothing."""
    init_adapter = loader.init_adapter
    if getattr(init_adapter, "checks_buffers", False):
        return

    def checked(config: Any, model: Model, *rest: Any) -> Model:  # noqa: ANN401 (llamafactory's own objects)
        if model is not None:  # unsloth loads model and adapter at once
            refuse_wrong_buffers(model)
        return init_adapter(config, model, *rest)

    checked.checks_buffers = True  # type: ignore[attr-defined]
    loader.init_adapter = checked


def refuse_wrong_buffers(model: Model) -> None:
    """WrongBuffersError where a non-persistent buffer is not the one that the model's own code makes."""
    if not any(True for _ in buffers_of(model)):
        return
    try:
        found = wrong_buffers(model)
    except Exception as error:  # a model's own code may do anything
        logger.warning_rank0(f"buffers were not compared: {type(error).__name__}: {error}"[:500])
        return
    if found:
        named = "; ".join(f"{name}: {words}" for name, words in list(found.items())[:MOST_NAMED])
        more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise WrongBuffersError(
            f"{type(model).__name__} was loaded with buffers that its own code does not make ({named}{more}): "
            f"transformers {transformers.__version__} left them unfilled, and the model would train on what the memory "
            "held. Train it with a transformers that its code was written for: `curate env` says which."
        )
    logger.info_rank0("The model's non-persistent buffers are those of a plain construction.")


def buffers_of(model: Model) -> Iterator[tuple[str, type, Any]]:
    """Each non-persistent buffer: its name, its module's class, its values."""
    for place, module in model.named_modules():
        for name in sorted(module._non_persistent_buffers_set):
            value = module._buffers.get(name)
            if value is not None:
                yield f"{place}.{name}".lstrip("."), type(module), value


def wrong_buffers(model: Model) -> dict[str, str]:
    """Names of buffers that differ from those of a plain construction, and how."""
    made = construct(model, seed=0)
    found: dict[str, str] = {}
    for name, kind, value in buffers_of(model):
        if name in made and made[name][0] is kind and (words := difference(value, made[name][1])):
            found[name] = words
    if found:
        again = construct(model, seed=1)
        found = {name: words for name, words in found.items() if not difference(again[name][1], made[name][1])}
    return found


def construct(model: Model, seed: int) -> Mapping[str, tuple[type, Any]]:
    """The buffers of a model of the same class and config, as its code computes them."""
    from accelerate import init_empty_weights

    before = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]), init_empty_weights(include_buffers=False), torch.device("cpu"):
        torch.manual_seed(seed)
        try:
            torch.set_default_dtype(model.dtype if model.dtype.is_floating_point else before)
            plain = type(model)(copy.deepcopy(model.config))
        finally:
            torch.set_default_dtype(before)
    return {name: (kind, value) for name, kind, value in buffers_of(plain)}


def difference(found: Any, made: Any) -> str:  # noqa: ANN401 (tensors)
    """How a buffer differs from the one that was made; "" where it is the same."""
    if found.is_meta:
        return "never allocated"
    if found.shape != made.shape:
        return f"shape {tuple(found.shape)}, not {tuple(made.shape)}"
    if not made.numel():
        return ""
    one, other = (numbers(value) for value in (found, made))
    inexact = made.is_floating_point() or made.is_complex()
    finite = other[other.isfinite()]
    scale = float(finite.abs().max()) if finite.numel() else 0.0
    off = ~torch.isclose(one, other, rtol=0.0, atol=CLOSE * scale if inexact else 0.0, equal_nan=True)
    if not bool(off.any()):
        return ""
    strange = ", NaN among them" if bool((one.isnan() & off).any()) else ""
    return f"{int(off.sum())} of {off.numel()} numbers differ{strange}"


def numbers(value: Any) -> Any:  # noqa: ANN401 (tensors)
    """A tensor's values in double precision on the CPU, those of complex numbers in pairs."""
    whole = value.detach().cpu()
    return (torch.view_as_real(whole) if whole.is_complex() else whole).to(torch.float64)
