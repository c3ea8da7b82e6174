"""Quirks of the packages that are imported, seen in the packages themselves."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from validators.probes import installed

pytestmark = pytest.mark.trainer


def test_flash_attention_breaks_where_the_quirk_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real caller of the kernel, with a kernel that only answers: it needs no GPU to fail before it."""
    import torch
    from transformers.integrations import flash_attention

    here = installed.trainer()
    assert here is not None
    states = torch.zeros(1, 2, 3, 8, dtype=torch.bfloat16)
    monkeypatch.setattr(flash_attention, "_flash_attention_forward", lambda *args, **rest: states)
    config = SimpleNamespace(_attn_implementation="flash_attention_2")
    module = SimpleNamespace(is_causal=True, config=config, training=True, modules=lambda: iter(()))
    try:
        flash_attention.flash_attention_forward(module, states, states, states, None)  # type: ignore[arg-type]
        words = ""
    except AttributeError as error:
        words = str(error)
    breaks = here.has("flash-attention-without-sink")
    assert words == ("'NoneType' object has no attribute 'to'" if breaks else "")
