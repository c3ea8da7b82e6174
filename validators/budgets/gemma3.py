"""Gemma 3 and Gemma 3n: one fixed sequence for every image or sound; Gemma 3's pan and scan stops the trainer.

Sources: llamafactory 0.9.5, mm_plugin.py: Gemma3Plugin, Gemma3nPlugin; transformers 5.6.0,
models/gemma3/processing_gemma3.py (full_image_sequence), image_processing_gemma3.py (num_crops) and
models/gemma3n/processing_gemma3n.py (full_audio_sequence). Without pan and scan the plugins open no file while they
expand: a broken one stops the collator instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from validators.budgets.config_values import Config, number
from validators.budgets.family import Block, Crash, Family, Placed, Run
from validators.budgets.resize import late_size_fault
from validators.model import MediaKind
from validators.settings import TrainerSettings

OPEN, IMAGE, CLOSE = "<start_of_image>", "<image_soft_token>", "<end_of_image>"
SOUND_OPEN, SOUND, SOUND_CLOSE = "<start_of_audio>", "<audio_soft_token>", "<end_of_audio>"


def sequence_of(opening: str, run: Run, closing: str) -> tuple[str | Run, ...]:
    """A medium between its marks, set off by blank lines."""
    return (f"\n\n{opening}", run, f"{closing}\n\n")


@dataclass(frozen=True, slots=True)
class Gemma3(Family):
    """The family under one run's settings and one model's processor."""

    settings: TrainerSettings
    sequence: int = 256
    """Tokens an image (image_seq_length)."""

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
        return sequence_of(OPEN, Run(IMAGE, self.sequence), CLOSE)

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """The same sequence for each image; raises Crash under pan and scan."""
        if self.settings.image_do_pan_and_scan and any(item.kind is MediaKind.IMAGE for item in placed):
            # num_crops has one number an image since transformers 5, no longer a list of them for each sample
            raise Crash("invalid index of a 0-dim tensor: num_crops[0][0] under image_do_pan_and_scan")
        return [Block(self.parts)] * len(placed)

    def step_fault(self, placed: Sequence[Placed]) -> str:
        """Images are opened at the step for the first time."""
        return late_size_fault(placed, self.settings)


@dataclass(frozen=True, slots=True)
class Gemma3n(Family):
    """Gemma 3n under one model's processor; it knows neither pan and scan nor written marks."""

    settings: TrainerSettings
    images: int = 256
    """Tokens an image (image_seq_length)."""
    sounds: int = 188
    """Tokens a sound (audio_seq_length), whatever its length."""

    @property
    def features(self) -> tuple[str, ...]:
        """The image and the sound token."""
        return (IMAGE, SOUND)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Opening, feature and closing tokens of images and sounds."""
        return (OPEN, IMAGE, CLOSE, SOUND_OPEN, SOUND, SOUND_CLOSE)

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """The same sequence for each image, and another for each sound."""
        image = Block(sequence_of(OPEN, Run(IMAGE, self.images), CLOSE))
        sound = Block(sequence_of(SOUND_OPEN, Run(SOUND, self.sounds), SOUND_CLOSE))
        return [sound if item.kind is MediaKind.AUDIO else image for item in placed]

    def step_fault(self, placed: Sequence[Placed]) -> str:
        """Images are opened at the step for the first time."""
        return late_size_fault(placed, self.settings)


def make_3n(settings: TrainerSettings, configs: Mapping[str, Config]) -> Gemma3n:
    """Gemma 3n for a model's processor configs."""
    top = configs["processor"]
    return Gemma3n(settings, number(top, "image_seq_length", 256), number(top, "audio_seq_length", 188))


def make(settings: TrainerSettings, configs: Mapping[str, Config]) -> Gemma3:
    """Gemma 3 for a model's processor configs."""
    return Gemma3(settings, number(configs["processor"], "image_seq_length", 256))
