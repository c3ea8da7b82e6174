"""Qwen's tokenizer, with the names by which LLaMA-Factory and the processor ask for MiniCPM's tokens."""

from typing import Any

from transformers import Qwen2TokenizerFast

NAMED = {
    "im_start": "<image>",
    "im_end": "</image>",
    "slice_start": "<slice>",
    "slice_end": "</slice>",
    "im_id_start": "<image_id>",
    "im_id_end": "</image_id>",
    "audio_start": "<|audio_start|>",
    "audio_end": "<|audio_end|>",
    "spk_start": "<|spk_bos|>",
    "spk_end": "<|spk_eos|>",
}


class MiniCPMTokenizerFast(Qwen2TokenizerFast):
    """`im_start` is the token's text, `im_start_id` its id, and so for each of NAMED."""

    def __getattr__(self, name: str) -> Any:
        if name in NAMED:
            return NAMED[name]
        if name.endswith("_id") and name.removesuffix("_id") in NAMED:
            return self.convert_tokens_to_ids(NAMED[name.removesuffix("_id")])
        return super().__getattr__(name)
