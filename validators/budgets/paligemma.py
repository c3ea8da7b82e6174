"""PaliGemma: tags vanish from the text, and all images stand before the first turn.

Sources: llamafactory 0.9.5, mm_plugin.py: PaliGemmaPlugin (process_messages, process_token_ids); transformers 5.6.0,
models/paligemma/processing_paligemma.py (image_seq_length is the image processor's). The plugin opens no image while
it expands: a broken one stops the collator instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from validators.budgets.config_values import Config, optional_number
from validators.budgets.family import Block, Family, Placed
from validators.budgets.llava import IMAGE
from validators.budgets.resize import late_size_fault
from validators.model import MediaKind
from validators.settings import TrainerSettings


@dataclass(frozen=True, slots=True)
class PaliGemma(Family):
    """The family under one model's processor."""

    settings: TrainerSettings
    sequence: int
    """Tokens an image (image_seq_length)."""

    @property
    def features(self) -> tuple[str, ...]:
        """The image token."""
        return (IMAGE,)

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """Nothing in the text."""
        return [Block(())] * len(placed)

    def lead(self, placed: Sequence[Placed]) -> int:
        """Image tokens of all images."""
        return self.sequence * sum(item.kind is MediaKind.IMAGE for item in placed)

    def step_fault(self, placed: Sequence[Placed]) -> str:
        """Images are opened at the step for the first time."""
        return late_size_fault(placed, self.settings)


def make(settings: TrainerSettings, configs: Mapping[str, Config]) -> PaliGemma | None:
    """The family for a model's processor configs; None without image_seq_length, which has no default."""
    sequence = optional_number(configs["image"], "image_seq_length")
    return None if sequence is None else PaliGemma(settings, sequence)
