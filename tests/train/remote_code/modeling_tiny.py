"""A network with MiniCPM-V 4.5's way of placing features, as a model folder's own code: one vector stands for a frame.

Source of the ways: modeling_minicpmv.py (get_vllm_embedding, forward) and resampler.py (Resampler) of MiniCPM-V 4.5.
"""

from __future__ import annotations

import sys
from itertools import chain
from typing import Any

import torch
from torch import nn
from transformers import GenerationMixin, Qwen3Config, Qwen3ForCausalLM, Qwen3PreTrainedModel

QUERIES = 64


class TinyConfig(Qwen3Config):
    model_type = "minicpmv"


class Resampler(nn.Module):
    """The mean of a pack's frames, each moved by its time, in so many places."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(QUERIES, size) / 50)
        self.time = nn.Parameter(torch.randn(size) / 50)

    def forward(self, frames: torch.Tensor, packs: list[list[Any]]) -> torch.Tensor:
        assert len(frames) == sum(map(len, packs)), "a time for each frame"
        times = torch.tensor([max(float(time), 0.0) for time in chain(*packs)])
        placed = frames + torch.sin(times)[:, None] * self.time
        outputs = torch.stack([part.mean(0) for part in placed.split([len(pack) for pack in packs])])
        return outputs[:, None, :] + self.query


class TinyMiniCPMV(Qwen3PreTrainedModel, GenerationMixin):
    config_class = TinyConfig

    def __init__(self, config: TinyConfig) -> None:
        super().__init__(config)
        self.llm = Qwen3ForCausalLM(config)
        self.vpm = nn.Linear(1, config.hidden_size)
        self.resampler = Resampler(config.hidden_size)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.llm.get_input_embeddings()

    def forward(self, data: dict[str, Any], **kwargs: Any) -> Any:
        """The lists' outputs one after the other, each as many as it has pixel values; the first list's are the first
        row's, and so on."""
        rows, packs = data["pixel_values"], list(chain(*data["temporal_ids"]))
        shown = [values.reshape(-1)[:1] for values in chain(*rows)]
        frames = self.vpm(torch.stack(shown))
        outputs = self.resampler(frames, packs)
        seen, start = [], 0
        for values in rows:
            seen.append(outputs[start : start + len(values)])
            start += len(values)
        embedded = self.llm.get_input_embeddings()(data["input_ids"])
        filled, blocks = [], 0
        for number in range(len(embedded)):
            own, bounds = seen[number], data["image_bound"][number]
            if not len(own):
                filled.append(embedded[number])
                continue
            places = torch.cat([torch.arange(int(first), int(last)) for first, last in bounds])
            blocks += len(bounds)
            flat = own.reshape(-1, own.shape[-1])
            assert len(places) <= len(flat), f"row {number}: {len(places)} places for {len(flat)} features"
            filled.append(embedded[number].index_copy(0, places, flat[: len(places)]))
        sys.stdout.write(f"\n{len(frames)} frames in {blocks} blocks\n")
        sys.stdout.flush()
        for key in ("input_ids", "inputs_embeds", "position_ids"):
            kwargs.pop(key, None)
        return self.llm(inputs_embeds=torch.stack(filled), position_ids=data["position_ids"], **kwargs)
