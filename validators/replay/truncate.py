"""Where the trainer cuts a row that is longer than cutoff_len.

Source: llamafactory 0.9.5, data/processor/supervised.py: SupervisedDatasetProcessor._encode_data_example and
processor_utils.py: infer_seqlen. All lengths are tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from validators.model import MediaKind


@dataclass(frozen=True, slots=True)
class Span:
    """A media block inside a turn: its first token, its length, and which entry of which list it is."""

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
    """A media block that loses tokens."""

    kind: MediaKind
    slot: int
    turn: int
    lost: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of a row: tokens, supervised tokens, the first turn that is cut and the media that lose tokens."""

    tokens: int
    supervised: int
    first_cut: int | None
    media: tuple[CutMedia, ...]


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


def truncate(pairs: Sequence[tuple[EncodedTurn, EncodedTurn]], cutoff: int, masking: Masking) -> Kept:
    """Walk the question-answer pairs as the trainer does, the last pair first under mask_history."""
    total = 1 if masking.efficient_eos else 0
    supervised = total
    first_cut: int | None = None
    media: list[CutMedia] = []
    ordered = list(reversed(pairs)) if masking.mask_history else list(pairs)
    for index, (source, target) in enumerate(ordered):
        if total >= cutoff:
            kept_source, kept_target = 0, 0
        else:
            kept_source, kept_target = infer_seqlen(source.tokens, target.tokens, cutoff - total)
        total += kept_source + kept_target
        supervised += kept_source if masking.train_on_prompt else 0
        supervised += 0 if masking.mask_history and index else kept_target
        if masking.efficient_eos and index and kept_source and not masking.train_on_prompt:
            supervised += 1
        for turn, kept in ((source, kept_source), (target, kept_target)):
            if kept < turn.tokens:
                first_cut = turn.turn if first_cut is None else min(first_cut, turn.turn)
                media += cut_spans(turn, kept)
    return Kept(total, supervised, first_cut, tuple(media))


def cut_spans(turn: EncodedTurn, kept: int) -> list[CutMedia]:
    """The media of a turn that reach past its kept tokens."""
    lost = [(span, min(span.tokens, span.start + span.tokens - kept)) for span in turn.spans]
    return [CutMedia(span.kind, span.slot, turn.turn, tokens, span.tokens) for span, tokens in lost if tokens > 0]
