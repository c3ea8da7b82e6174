"""DeepSpeed's ZeRO stage by the model's size and the GPUs: a small rule, no estimate of a run's memory.

Mixed-precision Adam holds 16 bytes a parameter: 2 of weights, 2 of gradients, 12 of the optimizer (Rajbhandari et al.,
ZeRO, arXiv:1910.02054, section 3.1). Stage 2 divides the last two among the GPUs, stage 3 all three.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

CONFIGS = Path(__file__).resolve().parent.parent / "deepspeed"
FOR_MODEL = 0.7
"""The part of a GPU's memory that model and optimizer may take: the rest is for activations."""


class Zero(StrEnum):
    """What is sharded."""

    NONE = "none"
    TWO = "2"
    THREE = "3"
    OFFLOAD = "3-offload"

    @property
    def file_name(self) -> str:
        """The file's name beside the train yaml."""
        return f"ds_z{self.value.replace('-', '_')}.json"

    @property
    def text(self) -> str:
        """The configuration."""
        return (CONFIGS / f"ds_z{self.value.replace('-', '_')}_config.json").read_text(encoding="utf-8")

    @property
    def meaning(self) -> str:
        """What it does, for a comment."""
        return {
            Zero.NONE: "",
            Zero.TWO: "ZeRO-2: gradients and optimizer are shared out among the GPUs",
            Zero.THREE: "ZeRO-3: weights, gradients and optimizer are shared out among the GPUs",
            Zero.OFFLOAD: "ZeRO-3 with weights and optimizer in the machine's own memory: slow",
        }[self]


def choose_zero(parameters: float | None, method: str, gpus: int, memory: float) -> Zero:
    """The first that fits: for LoRA none or stage 3, for full fine-tuning 2, 3, and 3 with offload.

    parameters: None where unknown; then stage 2 for full fine-tuning. memory: GB of one GPU.
    """
    if gpus == 0 or (parameters is None and method == "lora"):
        return Zero.NONE
    if parameters is None:
        return Zero.TWO
    room = memory * 1e9 * FOR_MODEL
    if method == "lora":
        return Zero.THREE if gpus > 1 and 2 * parameters > room else Zero.NONE
    if (2 + 14 / gpus) * parameters <= room:
        return Zero.TWO
    return Zero.THREE if 16 / gpus * parameters <= room else Zero.OFFLOAD
