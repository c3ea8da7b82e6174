"""The configuration: a Llama's."""

from transformers import LlamaConfig


class OwnConfig(LlamaConfig):
    model_type = "own_lm"
