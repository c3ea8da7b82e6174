"""Gemma 3: one fixed sequence for every image; pan and scan stops the trainer.

Sources: llamafactory 0.9.5, mm_plugin.py: Gemma3Plugin; transformers 5.6.0, models/gemma3/processing_gemma3.py
(full_image_sequence) and image_processing_gemma3.py (num_crops). Without pan and scan the plugin opens no image while
it expands: a broken one stops the collator instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from validators.budgets.config_values import Config, number
from validators.budgets.family import Block, Crash, Cut, Family, Placed, Run
from validators.model import MediaKind
from validators.settings import TrainerSettings

OPEN, IMAGE, CLOSE = "<start_of_image>", "<image_soft_token>", "<end_of_image>"


@dataclass(frozen=True, slots=True)
class Gemma3(Family):
    """The family under one run's settings and one model's processor."""

    settings: TrainerSettings
    sequence: int = 256
    """Tokens an image (image_seq_length)."""

    @property
    def cut(self) -> Cut:
        """The model compares image tokens with image features."""
        return Cut.COUNT

    @property
    def features(self) -> tuple[str, ...]:
        """The image token."""
        return (IMAGE,)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Opening, image and closing token."""
        return (OPEN, IMAGE, CLOSE)

    @property
    def rewrites(self) -> Mapping[str, str]:
        """The plugin's own mark becomes a whole image sequence, also where a person wrote it."""
        return {"{{image}}": "".join(part if isinstance(part, str) else part.token * part.count for part in self.parts)}

    @property
    def parts(self) -> tuple[str | Run, ...]:
        """The processor's full_image_sequence."""
        return (f"\n\n{OPEN}", Run(IMAGE, self.sequence), f"{CLOSE}\n\n")

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """The same sequence for each image; raises Crash under pan and scan."""
        if self.settings.image_do_pan_and_scan and any(item.kind is MediaKind.IMAGE for item in placed):
            # num_crops has one number an image since transformers 5, no longer a list of them for each sample
            raise Crash("invalid index of a 0-dim tensor: num_crops[0][0] under image_do_pan_and_scan")
        return [Block(self.parts)] * len(placed)


def make(settings: TrainerSettings, configs: Mapping[str, Config]) -> Gemma3:
    """The family for a model's processor configs."""
    return Gemma3(settings, number(configs["processor"], "image_seq_length", 256))
