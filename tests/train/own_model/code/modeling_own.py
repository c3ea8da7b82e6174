"""A Llama that takes inputs as MiniCPM does and answers by `chat`, with what it was shown."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaForCausalLM

from .configuration_own import OwnConfig
from .words_own import seen


class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig

    def forward(self, data: Any = None, **kwargs: Any) -> Any:
        if isinstance(data, dict):
            kwargs["input_ids"] = data["input_ids"]
        return super().forward(**kwargs)

    def generate(self, input_ids: Any = None, pixel_values: Any = None, **kwargs: Any) -> Any:
        assert len(input_ids) == len(pixel_values)
        return super().generate(input_ids=input_ids, **kwargs)

    def chat(
        self,
        image: Any = None,
        msgs: Any = None,
        tokenizer: Any = None,
        processor: Any = None,
        max_new_tokens: int = 2048,
        sampling: bool = True,
        system_prompt: str = "",
        max_slice_nums: Any = None,
        use_image_id: Any = None,
        **kwargs: Any,
    ) -> str:
        assert not sampling and image is None and processor is not None
        turns = [f"{turn['role']}: {', '.join(map(seen, turn['content']))}" for turn in msgs]
        with torch.inference_mode():
            self(input_ids=tokenizer(turns[-1], return_tensors="pt")["input_ids"].to(self.device))
        options = f"slices {max_slice_nums}, ids {use_image_id}, at most {max_new_tokens}"
        return " | ".join([f"system: {system_prompt}", *turns, options])
