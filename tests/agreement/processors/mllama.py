"""MllamaProcessor; nothing of it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agreement.processors.loading import reloaded
from tests.agreement.processors.tokenizers import tiny_tokenizer

VARIANTS = [0]
IMAGE_TOKEN = "<|image|>"


def processor(folder: Path, variant: int = 0) -> Any:
    """The real processor, saved in the folder."""
    from transformers import MllamaImageProcessor, MllamaProcessor

    tokenizer = tiny_tokenizer([IMAGE_TOKEN, "<|python_tag|>"])
    return reloaded(MllamaProcessor(MllamaImageProcessor(), tokenizer), folder)


def model(made: Any) -> Any:
    """A tiny random Llama 3.2 Vision."""
    from transformers import MllamaConfig, MllamaForConditionalGeneration

    size = made.image_processor.size["height"]
    tiles = made.image_processor.max_image_tiles
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_global_layers": 1}
    vision |= {"attention_heads": 2, "intermediate_layers_indices": [0], "vision_output_dim": 64}
    vision |= {"image_size": size, "patch_size": 28, "max_num_tiles": tiles}
    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "cross_attention_layers": [1]}
    text |= {"num_attention_heads": 2, "num_key_value_heads": 2, "pad_token_id": made.tokenizer.pad_token_id}
    text |= {"vocab_size": len(made.tokenizer) + 64, "bos_token_id": 0, "eos_token_id": 1}
    text |= {
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "rope_scaling": {"rope_type": "default"},
    }
    index = made.tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    return MllamaForConditionalGeneration(MllamaConfig(vision_config=vision, text_config=text, image_token_index=index))
