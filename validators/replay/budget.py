"""Token counts of every row of a batch, with one call of the tokenizer for all of its text.

A media placeholder is put into the text as the one special token that opens it, which cuts the text exactly where
the expanded placeholder would; its real length comes from the family's formula.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from validators.budgets.family import Block, Family
from validators.budgets.qwen2_vl import TooSlim
from validators.budgets.resize import TooNarrow
from validators.budgets.templates import Piece, Template
from validators.budgets.text import TextCounter
from validators.model import MediaKind, Role
from validators.probes.facts import MediaFacts
from validators.replay.truncate import EncodedTurn, Kept, Masking, Span, truncate
from validators.settings import TrainerSettings

TAGS = re.compile("|".join(kind.tag for kind in MediaKind))
KIND_OF_TAG = {kind.tag: kind for kind in MediaKind}


@dataclass(frozen=True, slots=True)
class Conversation:
    """A row ready to be counted: aligned turns (index, role, content), system prompt, media in list order."""

    row: int
    turns: Sequence[tuple[int, Role, str]]
    system: str
    media: Mapping[MediaKind, Sequence[MediaFacts]]


@dataclass(frozen=True, slots=True)
class RowBudget:
    """Tokens of one row.

    tokens: before truncation. media: those of placeholders. exact: counted with the model's tokenizer and known
    formulas; otherwise `unknown` says why, and `tokens` is an upper bound if `bounded`. kept: after truncation.
    error: why the trainer's resize fails, if it does.
    """

    row: int
    tokens: int
    media: int
    exact: bool
    bounded: bool
    kept: Kept
    unknown: str = ""
    error: str = ""


@dataclass(slots=True)
class Rendered:
    """One turn in text with its blocks: positions are characters of the marker in `texts[piece]`."""

    turn: int
    pieces: list[Piece]
    blocks: list[tuple[MediaKind, int, Block]]


class Budgeter:
    """Counts conversations under one template, tokenizer and set of settings."""

    def __init__(
        self,
        template: Template,
        settings: TrainerSettings,
        counter: TextCounter | None,
        family: Family | None,
    ) -> None:
        self.template = template
        self.settings = settings
        self.counter = counter
        self.family = family
        self.masking = Masking(settings.train_on_prompt, settings.mask_history, template.efficient_eos)

    def count(self, conversations: Sequence[Conversation]) -> Iterator[RowBudget]:
        """The budget of each conversation, in order."""
        prepared = [self.prepare(conversation) for conversation in conversations]
        texts = list(
            dict.fromkeys(
                piece.text
                for turns, _, _ in prepared
                for turn in turns
                for piece in turn.pieces
                if piece.text and not piece.special
            )
        )
        lengths = dict(zip(texts, self.lengths(texts), strict=True))
        for conversation, (turns, unknown, error) in zip(conversations, prepared, strict=True):
            yield self.budget(conversation.row, turns, lengths, unknown, error)

    def lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text; without a tokenizer, bytes, of which byte-level BPE never makes more tokens."""
        if self.counter is None:
            return [len(text.encode("utf-8", "surrogatepass")) for text in texts]
        return self.counter.counts(texts) if texts else []

    def prepare(self, conversation: Conversation) -> tuple[list[Rendered], str, str]:
        """Render the turns; the reasons why the count is not known or why the trainer fails, if any."""
        unknown = "" if self.template.is_exact else f"template {self.template.name} builds its turns in code"
        error = ""
        blocks: dict[MediaKind, list[Block]] = {}
        used = [kind for kind in MediaKind if conversation.media.get(kind)]
        if used and self.family is None:
            unknown = f"the media tokens of template {self.template.name} with this tokenizer are not known"
        elif used and self.family is not None:
            try:
                blocks = {
                    kind: self.family.blocks([(kind, facts) for facts in conversation.media[kind]]) for kind in used
                }
            except (TooNarrow, TooSlim) as fault:
                error = str(fault)
        seen = dict.fromkeys(MediaKind, 0)
        turns = []
        for position, (turn, role, content) in enumerate(conversation.turns):
            rendered = self.render(position, turn, role, content, blocks, seen)
            if rendered is None:
                unknown = "tool calls are rendered by the trainer's tool formatters"
                rendered = Rendered(turn, [Piece(content)], [])
            if position == 0:
                rendered.pieces[:0] = self.template.opening(self.system(conversation))
            turns.append(rendered)
        return turns, unknown, error

    def system(self, conversation: Conversation) -> str:
        """The row's system prompt, else the yaml's default_system, else the template's."""
        if conversation.system:
            return conversation.system
        override = self.settings.default_system
        return self.template.default_system if override is None else override

    def render(
        self,
        position: int,
        turn: int,
        role: Role,
        content: str,
        blocks: Mapping[MediaKind, Sequence[Block]],
        seen: dict[MediaKind, int],
    ) -> Rendered | None:
        """A turn with its tags replaced by markers."""
        placed: list[tuple[MediaKind, int, Block]] = []

        def place(match: re.Match[str]) -> str:
            kind = KIND_OF_TAG[match.group()]
            slot = seen[kind]
            if slot >= len(blocks.get(kind, ())):
                return match.group()
            seen[kind] += 1
            block = blocks[kind][slot]
            placed.append((kind, slot, block))
            return block.text

        pieces = self.template.render(role, TAGS.sub(place, content), position // 2)
        return None if pieces is None else Rendered(turn, pieces, placed)

    def budget(
        self, row: int, turns: list[Rendered], lengths: Mapping[str, int], unknown: str, error: str
    ) -> RowBudget:
        """Sum up one row and cut it at the limit if it is longer."""
        encoded = [
            EncodedTurn(
                turn.turn,
                sum(1 if piece.special else lengths.get(piece.text, 0) for piece in turn.pieces)
                + sum(block.tokens - 1 for _, _, block in turn.blocks if block.tokens),
            )
            for turn in turns
        ]
        total = sum(turn.tokens for turn in encoded) + (1 if self.template.efficient_eos else 0)
        media = sum(block.tokens for turn in turns for _, _, block in turn.blocks)
        exact = not unknown and not error and self.counter is not None
        if exact and total > self.settings.effective_cutoff:
            encoded = [self.with_spans(turn, plain) for turn, plain in zip(turns, encoded, strict=True)]
        pairs = list(zip(encoded[0::2], encoded[1::2], strict=False))
        limit = self.settings.effective_cutoff if exact else max(total, 1)
        kept = truncate(pairs, limit, self.masking)
        return RowBudget(row, total, media, exact, not unknown and not error, kept, unknown, error)

    def with_spans(self, turn: Rendered, plain: EncodedTurn) -> EncodedTurn:
        """The same turn with the token positions of its media, found by the characters of their markers."""
        if not turn.blocks or self.counter is None:
            return plain
        waiting = [entry for entry in turn.blocks if entry[2].tokens]
        spans: list[Span] = []
        at = 0
        for piece in turn.pieces:
            if piece.special or not piece.text:
                at += 1 if piece.special else 0
                continue
            encoding = self.counter.encode(piece.text)
            for start, end in encoding.offsets:
                if waiting and piece.text[start:end] == waiting[0][2].marker:
                    kind, slot, block = waiting.pop(0)
                    spans.append(Span(at, block.tokens, kind, slot))
                    at += block.tokens
                else:
                    at += 1
        return EncodedTurn(plain.turn, plain.tokens, tuple(spans))
