"""What a model family must answer: which special token opens a placeholder, and how long the whole one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from validators.model import MediaKind
from validators.probes.facts import MediaFacts

RowMedia = Sequence[tuple[MediaKind, MediaFacts]]
"""A row's media in the order of their placeholders in the text."""


@dataclass(frozen=True, slots=True)
class Block:
    """A placeholder after expansion: `marker` is the special token that stands for it in the text to encode."""

    marker: str
    tokens: int

    @property
    def text(self) -> str:
        """What to put in the text: the marker, which cuts it where the expansion would, or nothing at all."""
        return self.marker if self.tokens else ""


class Family(Protocol):
    """Counts one model family's media; raises TooNarrow where the trainer's resize fails."""

    def blocks(self, media: RowMedia) -> list[Block]:
        """One block a placeholder."""
