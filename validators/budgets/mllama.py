"""Llama 3.2 Vision: one token an image; the features reach the text by cross attention.

Sources: llamafactory 0.9.5, mm_plugin.py: MllamaPlugin; transformers 5.6.0, models/mllama/processing_mllama.py
(get_cross_attention_token_mask). The plugin opens no image while it expands: a broken one stops the collator instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from validators.budgets.config_values import Config
from validators.budgets.family import Block, Family, Placed, Run
from validators.budgets.resize import late_size_fault
from validators.llamafactory.batches.member import BatchFault, Member
from validators.model import Outcome
from validators.settings import TrainerSettings

IMAGE = "<|image|>"
WITHOUT_IMAGES = BatchFault(
    Outcome.CRASH_STEP,
    "a first or last row without images: the processor looks for an image in the first row, and leaves rows at the end "
    "out of its counts (transformers 5.5.4, models/mllama/image_processing_mllama.py: pad_batches_and_tiles)",
    "per_device_train_batch_size: 1, rows with images alone, or transformers 4.57.1",
)


@dataclass(frozen=True, slots=True)
class Mllama(Family):
    """The family under one run's settings; nothing of the processor counts."""

    settings: TrainerSettings

    @property
    def features(self) -> tuple[str, ...]:
        """The image token."""
        return (IMAGE,)

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """One image token each."""
        return [Block((Run(IMAGE, 1),))] * len(placed)

    def step_fault(self, placed: Sequence[Placed]) -> str:
        """Images are opened at the step for the first time."""
        return late_size_fault(placed, self.settings)

    @property
    def joins(self) -> bool:
        """See batch_fault."""
        return self.settings.trainer.has("mllama-wants-images-at-both-ends")

    def batch_fault(self, members: Sequence[Member]) -> BatchFault | None:
        """Rows without images, in a batch of several; where no row has any, the first is given one."""
        ends = (members[0].images or not any(member.images for member in members), members[-1].images)
        return WITHOUT_IMAGES if len(members) > 1 and not all(ends) else None


def make(settings: TrainerSettings, configs: Mapping[str, Config]) -> Mllama:
    """The family, whatever the settings and configs."""
    return Mllama(settings)
