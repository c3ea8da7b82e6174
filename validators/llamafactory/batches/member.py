"""A row, or a pack of rows, as the collator meets it among others, and what a batch of such leads to.

Source: llamafactory 0.9.5, data/collator.py: MultiModalDataCollatorForSeq2Seq.__call__ joins the media of all rows in
lists, beside which it counts those of each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from validators.model import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One sequence of a batch: entries of each modality, and what else decides how they are collated with others'."""

    images: int = 0
    videos: int = 0
    audios: int = 0
    shapes: tuple[tuple[float, ...], ...] = ()
    """Of each video what the collator of the family takes together with that of others (frames, grid); else empty."""
    rows: int = 1
    """Rows that are packed in it."""

    @property
    def words(self) -> str:
        """`2 images + 1 video`, `text`."""
        counts = {"image": self.images, "video": self.videos, "audio": self.audios}
        named = [f"{count} {kind}{'s' * (count > 1)}" for kind, count in counts.items() if count]
        return " + ".join(named) or "text"

    @property
    def has_media(self) -> bool:
        """Whether it has any."""
        return bool(self.images or self.videos or self.audios)


TEXT = Member()


@dataclass(frozen=True, slots=True)
class BatchFault:
    """What is wrong with a batch whose rows are well by themselves."""

    outcome: Outcome
    """CRASH_STEP, or ALTERED where it trains on something else."""
    words: str
    """What the trainer does, with the file that does it."""
    cure: str
    """How to set up the run so that it does not come to that."""
    plugin: str = ""
    """The module that repairs it in LLaMA-Factory, which `curate train` adds; "" for none."""


def packed(members: Sequence[Member]) -> Member:
    """Rows packed into one sequence (data/processor/supervised.py: PackedSupervisedDatasetProcessor)."""
    if len(members) == 1:
        return members[0]
    return replace(
        TEXT,
        images=sum(member.images for member in members),
        videos=sum(member.videos for member in members),
        audios=sum(member.audios for member in members),
        shapes=tuple(shape for member in members for shape in member.shapes),
        rows=len(members),
    )
