"""What a model family must answer: the text that each placeholder becomes, and what cutting it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from validators.llamafactory.batches.member import BatchFault, Member
from validators.model import MediaKind
from validators.probes.facts import MediaFacts


class Cut(StrEnum):
    """How the trainer takes a placeholder that truncation shortened."""

    COUNT = "count"
    """The model compares the row's feature tokens with its features: a lost or surplus token stops the step."""
    PAIRS = "pairs"
    """The collator pairs opening with closing tokens: a unit that is cut inside stops the step, whole ones may go."""
    UNITS = "units"
    """As COUNT, but the closing token is looked for as well, and a sound may go together with its opening token."""


class Why(StrEnum):
    """What kind of thing stops the trainer at a row."""

    OTHER = "other"
    MIX = "mix"
    """A mixture of media that the plugin refuses; rules over the lists name it."""
    SIZE = "size"
    """A side without pixels, or a ratio of sides that the processor refuses."""
    TOOLS = "tools"
    """A tool call or description that cannot be rendered."""


class Crash(ValueError):
    """The trainer stops while it expands a row's placeholders (crash-load); the message is what it would say."""

    def __init__(self, message: str, why: Why = Why.OTHER) -> None:
        super().__init__(message)
        self.why = why


@dataclass(frozen=True, slots=True)
class Run:
    """One token of the vocabulary, `count` times in a row: a medium's features stand in its places."""

    token: str
    count: int


@dataclass(frozen=True, slots=True)
class Block:
    """What one placeholder becomes: plain text (special tokens spelled out) and runs of feature tokens, in order."""

    parts: tuple[str | Run, ...]

    @property
    def features(self) -> int:
        """Feature tokens in all."""
        return sum(part.count for part in self.parts if isinstance(part, Run))


@dataclass(frozen=True, slots=True)
class Placed:
    """One placeholder of a row: its modality, its entry's index in that modality's list, the position of its turn
    among the aligned turns (the system's not counted), and the facts of its file (or of each frame of a video that
    is given as a list of images)."""

    kind: MediaKind
    slot: int
    turn: int
    facts: MediaFacts


@dataclass(frozen=True, slots=True)
class Literal:
    """A watched token that a row's own text holds, and its place among the tokens that truncation left."""

    place: int
    token: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A run of feature tokens of which truncation left at least what opens it: its first place, how many are left, of
    which modality, and whether what closes it is left, too."""

    start: int
    tokens: int
    kind: MediaKind
    closed: bool = True


Media = Sequence[tuple[Placed, Block]]
"""A row's placeholders, each with what it becomes."""


class Family(Protocol):
    """One model family under one run's settings and one model's processor."""

    @property
    def features(self) -> tuple[str, ...]:
        """The tokens whose places features take."""

    @property
    def watched(self) -> tuple[str, ...]:
        """Tokens that mean something to plugin or model wherever they stand, in the row's own text, too."""
        return self.features

    @property
    def cut(self) -> Cut:
        """What a shortened placeholder leads to; a step that stops for most (transformers, get_placeholder_mask)."""
        return Cut.COUNT

    @property
    def tokens(self) -> tuple[str, ...]:
        """Special tokens that its placeholders are made of; each must be one token of the tokenizer."""
        return self.features

    @property
    def rewrites(self) -> Mapping[str, str]:
        """Other literals in a row's text that the plugin replaces, and by what (`{{image}}` …)."""
        return {}

    def rewritten(self, text: str, placed: Sequence[Placed]) -> str:
        """A turn's text, its placeholders already expanded, with other literals replaced; raises Crash."""
        for literal, by in self.rewrites.items():
            text = text.replace(literal, by)
        return text

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """The row's placeholders expanded, in the order given (that of the text); raises Crash."""

    def lead(self, placed: Sequence[Placed]) -> int:
        """Tokens that the plugin puts before the first turn (PaliGemma's images); 0 for most."""
        return 0

    @property
    def trusts_headers(self) -> bool:
        """Whether rows are prepared from the headers of their videos, which are decoded at the row's step only."""
        return False

    def step_fault(self, placed: Sequence[Placed]) -> str:
        """Why a row that is prepared well stops at its step, though nothing is cut; "" where it goes on."""
        return ""

    def refuses(self, literals: Sequence[Literal], units: Sequence[Unit], end: int, media: Media) -> str:
        """Why the trainer stops at a row whose text holds watched tokens; "" when it does not.

        literals and units: what truncation left of them; end: tokens left; media: the row's, before truncation. Under
        Cut.PAIRS this decides over cut media as well.
        Where features are counted (transformers, get_placeholder_mask), a single surplus token is one too many.
        """
        surplus = [literal.token for literal in literals if literal.token in self.features]
        return f"{len(surplus)} × {surplus[0]} in the text itself, where no feature belongs" if surplus else ""

    @property
    def joins(self) -> bool:
        """Whether the collator joins rows in a way that can fail where each of them is well by itself."""
        return False

    def member(self, placed: Sequence[Placed]) -> Member:
        """What of a row decides how it is collated with others."""
        counts = Counter(item.kind for item in placed)
        return Member(images=counts[MediaKind.IMAGE], videos=counts[MediaKind.VIDEO], audios=counts[MediaKind.AUDIO])

    def batch_fault(self, members: Sequence[Member]) -> BatchFault | None:
        """What is wrong with a batch of these, in this order; None where it trains as its rows do by themselves.

        Asked only where `joins`.
        """
        return None
