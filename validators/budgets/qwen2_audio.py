"""Qwen2-Audio: a token for four frames of ten milliseconds, of the first 30 seconds.

Sources: llamafactory 0.9.5, mm_plugin.py: Qwen2AudioPlugin.process_messages; transformers 5.6.0,
models/qwen2_audio/processing_qwen2_audio.py (default tokens) and Whisper's feature extractor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from validators.budgets.family import Block, Crash, Family, Placed, Run
from validators.budgets.sound import Whisper, pooled_frames, rate_fault
from validators.model import MediaKind
from validators.settings import TrainerSettings

AUDIO_TOKEN = "<|AUDIO|>"
START, END = "<|audio_bos|>", "<|audio_eos|>"


@dataclass(frozen=True, slots=True)
class Qwen2Audio(Family):
    """The family, ready to count with one model's processor and one run's settings."""

    settings: TrainerSettings
    extractor: Whisper
    start: str = START
    end: str = END

    @property
    def features(self) -> tuple[str, ...]:
        """The sound."""
        return (AUDIO_TOKEN,)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Start, sound and end."""
        return (self.start, AUDIO_TOKEN, self.end)

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """Start, sound, end for each."""
        blocks = []
        for item in placed:
            if item.kind is not MediaKind.AUDIO:
                raise Crash(f"This model does not support {item.kind.value} input")
            frames = self.extractor.frames(item.facts, self.settings.audio_sampling_rate)
            blocks.append(Block((self.start, Run(AUDIO_TOKEN, pooled_frames(frames)), self.end)))
        return blocks

    def step_fault(self, placed: Sequence[Placed]) -> str:
        """Why the step stops though nothing was cut; "" where it goes on.

        Where no two audio tokens stand side by side the model takes the row for one that the processor has not
        expanded, and fails on the way it has for these (modeling_qwen2_audio.py: forward, legacy_processing). In a
        batch with a longer sound such a row goes on.
        """
        if fault := rate_fault(self.settings.audio_sampling_rate, self.extractor.sampling_rate):
            return fault  # a row without sound gets one in the collator
        counts = [block.features for block in self.expand(placed)]
        if counts and max(counts) < 2:
            return "sounds of less than two tokens: 'Qwen2AudioConfig' object has no attribute 'ignore_index'"
        return ""


def make(settings: TrainerSettings, configs: Mapping[str, Mapping[str, object]]) -> Qwen2Audio:
    """The family for a model's processor configs."""
    processor = configs["processor"]

    def token(key: str, default: str) -> str:
        value = processor.get(key)
        return value if isinstance(value, str) else default

    extractor = Whisper.from_config(configs["audio"])
    return Qwen2Audio(settings, extractor, token("audio_bos_token", START), token("audio_eos_token", END))
