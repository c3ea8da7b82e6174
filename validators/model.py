"""The vocabulary: what a row is made of and what can become of it."""

from __future__ import annotations

from enum import StrEnum


class MediaKind(StrEnum):
    """A modality; the value is also its column name without the plural s, and its placeholder tag's word."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"

    @property
    def tag(self) -> str:
        """The placeholder in message text (LLaMA-Factory 0.9.5, extras/constants.py: IMAGE_PLACEHOLDER …)."""
        return f"<{self.value}>"

    @property
    def column(self) -> str:
        """The column of paths: images, videos or audios."""
        return f"{self.value}s"


class Role(StrEnum):
    """A turn's role after the trainer's mapping of tags (llamafactory 0.9.5, data/data_utils.py: Role)."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    FUNCTION = "function"
    OBSERVATION = "observation"


class Outcome(StrEnum):
    """What the trainer does with a row, worst last."""

    TRAINED = "trained"
    ALTERED = "altered"
    TRUNCATED = "truncated"
    DROPPED = "dropped"
    CRASH_STEP = "crash-step"
    CRASH_LOAD = "crash-load"
