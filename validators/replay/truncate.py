"""Where the trainer cuts a row that is longer than cutoff_len.

Source: llamafactory 0.9.5, data/processor/supervised.py: SupervisedDatasetProcessor._encode_data_example and
processor_utils.py: infer_seqlen. All lengths are tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from validators.budgets.family import Cut
from validators.model import MediaKind


@dataclass(frozen=True, slots=True)
class Span:
    """A run of feature tokens inside a turn: its first token, its length, and which entry of which list it is."""

    start: int
    tokens: int
    kind: MediaKind
    slot: int


@dataclass(frozen=True, slots=True)
class EncodedTurn:
    """A rendered turn's length and media; `turn` is its index in the row's messages."""

    turn: int
    tokens: int
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class CutMedia:
    """A medium that loses feature tokens, and whether the trainer stops at it."""

    kind: MediaKind
    slot: int
    turn: int
    lost: int
    tokens: int
    stops: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of a row: tokens, supervised tokens, the first turn that is cut, the media that lose tokens, and
    the tokens left of each turn, in the order of the turns."""

    tokens: int
    supervised: int
    first_cut: int | None
    media: tuple[CutMedia, ...]
    turns: tuple[int, ...]

    @property
    def stops(self) -> bool:
        """Whether a medium is cut in such a way that the trainer stops."""
        return any(medium.stops for medium in self.media)


@dataclass(frozen=True, slots=True)
class Masking:
    """The settings that decide which tokens carry loss."""

    train_on_prompt: bool = False
    mask_history: bool = False
    efficient_eos: bool = False


def infer_seqlen(source: int, target: int, limit: int) -> tuple[int, int]:
    """How many tokens of a source and a target stay within `limit` (the arithmetic is the trainer's)."""
    if target * 2 < limit:
        most = limit
    elif source * 2 < limit:
        most = limit - source
    else:
        most = int(limit * (target / (source + target)))
    kept_target = min(most, target)
    return min(max(limit - kept_target, 0), source), kept_target


def truncate(turns: Sequence[EncodedTurn], lead: int, cutoff: int, masking: Masking, cut: Cut) -> Kept:
    """Walk the question-answer pairs as the trainer does, the last pair first under mask_history.

    lead: tokens that stand before the first turn and are never cut.
    """
    total = lead + (1 if masking.efficient_eos else 0)
    supervised = 1 if masking.efficient_eos else 0
    if not masking.efficient_eos and total + sum(turn.tokens for turn in turns) < cutoff:
        return whole(turns, lead, masking)
    left = [0] * len(turns)
    pairs = range(0, len(turns), 2)
    for index, number in enumerate(reversed(pairs) if masking.mask_history else pairs):
        if total >= cutoff:
            break
        source, target = turns[number].tokens, turns[number + 1].tokens
        kept_source, kept_target = infer_seqlen(source, target, cutoff - total)
        left[number], left[number + 1] = kept_source, kept_target
        total += kept_source + kept_target
        supervised += 0 if masking.mask_history and index else kept_target
        if masking.train_on_prompt:
            supervised += kept_source
        elif masking.efficient_eos and index:
            supervised += 1  # the end token of the turn before stands in the place of the source's first
    shortened = [turn for turn, kept in zip(turns, left, strict=True) if kept < turn.tokens]
    first_cut = min((turn.turn for turn in shortened), default=None)
    media = [lost for turn, kept in zip(turns, left, strict=True) for lost in cut_media(turn, kept, cut)]
    return Kept(total, supervised, first_cut, tuple(media), tuple(left))


def whole(turns: Sequence[EncodedTurn], lead: int, masking: Masking) -> Kept:
    """A row that fits."""
    left = tuple(turn.tokens for turn in turns)
    supervised = sum(left[-1:] if masking.mask_history else left[1::2])
    if masking.train_on_prompt:
        supervised += sum(left[0::2])
    return Kept(lead + sum(left), supervised, None, (), left)


def cut_media(turn: EncodedTurn, kept: int, cut: Cut) -> list[CutMedia]:
    """The media of a turn that reach past its kept tokens, each once however many runs it is made of."""
    found: dict[tuple[MediaKind, int], CutMedia] = {}
    for span in turn.spans:
        lost = max(0, min(span.tokens, span.start + span.tokens - kept))
        stops = cut_stops(span, kept, lost, cut)
        key = (span.kind, span.slot)
        before = found.get(key, CutMedia(*key, turn.turn, 0, 0, False))
        found[key] = CutMedia(
            *key,
            turn.turn,
            before.lost + lost,
            before.tokens + span.tokens,
            before.stops or (stops and kept < turn.tokens),
        )
    return [medium for medium in found.values() if medium.lost or medium.stops]


def cut_stops(span: Span, kept: int, lost: int, cut: Cut) -> bool:
    """Whether the trainer stops at a run of which so many tokens are lost, with `kept` tokens left of its turn."""
    inside = span.start <= kept <= span.start + span.tokens  # its opening token is there, its closing one is not
    match cut:
        case Cut.COUNT:
            return lost > 0
        case Cut.PAIRS:
            return inside
        case Cut.UNITS:
            return inside or (lost > 0 and span.kind is not MediaKind.AUDIO)
