"""Token counts of every row of a batch, with one call of the tokenizer for all of its text.

A run of feature tokens is put into the text once, which cuts the text exactly where the whole run would, since each of
its tokens is a special one; the rest of its length is added.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from validators.budgets.family import Block, Crash, Cut, Family, Literal, Placed, Run, Unit, Why
from validators.budgets.templates import Template, Thinking
from validators.budgets.text import TextCounter
from validators.llamafactory.batches.member import TEXT, Member
from validators.model import MediaKind, Role
from validators.probes.facts import Health, MediaFacts
from validators.replay.tools.fault import ToolFault, ToolTextTooLong
from validators.replay.truncate import EncodedTurn, Kept, Masking, Span, truncate
from validators.settings import TrainerSettings

TAGS = re.compile("|".join(kind.tag for kind in MediaKind))
KIND_OF_TAG = {kind.tag: kind for kind in MediaKind}
# A run's stand-in while templates work on the text: noncharacters of Unicode, which interchanged text does not hold.
OPEN, CLOSE = "\ufdd0", "\ufdd1"
STAND_IN = re.compile(f"{OPEN}(\\d+){CLOSE}")


@dataclass(frozen=True, slots=True)
class Conversation:
    """A row ready to be counted: aligned turns (index, role, content), system prompt, tools, media in list order."""

    row: int
    turns: Sequence[tuple[int, Role, str]]
    system: str
    tools: str
    media: Mapping[MediaKind, Sequence[MediaFacts]]


@dataclass(frozen=True, slots=True)
class Medium:
    """One placeholder of a counted row: its turn's position, the tokens of text before it in that turn, its file."""

    position: int
    offset: int
    placed: Placed


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A row's lengths without its media, for counting it again under other settings: tokens of text of each turn
    (placeholders' own marks left out), and where the media stand."""

    turns: tuple[int, ...]
    media: tuple[Medium, ...]


@dataclass(frozen=True, slots=True)
class RowBudget:
    """Tokens of one row.

    tokens: before truncation. media: feature tokens. exact: counted with the model's tokenizer and known formulas;
    otherwise `unknown` says why, and `tokens` is an upper bound if `bounded`. kept: after truncation. error: why the
    trainer stops while it prepares the row, if it does, and `why` of which kind that is. literal: why it stops at the
    row's step although nothing is cut: special tokens that stand in the text itself; step_fault: media that
    the step takes otherwise than they were counted, such as a video that decodes otherwise than its header says.
    """

    row: int
    tokens: int
    media: int
    exact: bool
    bounded: bool
    kept: Kept
    unknown: str = ""
    error: str = ""
    why: Why = Why.OTHER
    literal: str = ""
    step_fault: str = ""
    skeleton: Skeleton | None = None
    lengths: tuple[int, ...] = ()
    """Tokens of each turn before truncation."""
    member: Member = TEXT
    """What of the row decides how it is collated with others, where that can fail (Family.joins)."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A watched token that a placeholder brought: the placeholder's number in the row, and how often it stands there;
    `feature` where features take its place."""

    token: str
    count: int
    number: int
    feature: bool


@dataclass(slots=True)
class Marked:
    """A piece of text with its runs in place, each written once.

    marks: in the order of the text, what each occurrence of a watched token stands for; None for one that the row's
    own text holds.
    """

    text: str
    special: bool
    marks: list[Mark | None]


@dataclass(slots=True)
class Rendered:
    """A row in text: the pieces of each turn, its placeholders and their blocks, and what stands in the way."""

    turns: list[list[Marked]] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    lead: int = 0
    unknown: str = ""
    error: str = ""
    why: Why = Why.OTHER


class Budgeter:
    """Counts conversations under one template, tokenizer and set of settings."""

    def __init__(
        self,
        template: Template,
        settings: TrainerSettings,
        counter: TextCounter | None,
        family: Family | None,
        keep_skeletons: bool = False,
    ) -> None:
        self.keep_skeletons = keep_skeletons
        self.template = template
        self.settings = settings
        self.counter = counter
        self.family = family
        self.cut = family.cut if family is not None else Cut.COUNT
        self.joins = family is not None and family.joins
        self.masking = Masking(settings.train_on_prompt, settings.mask_history, template.efficient_eos)
        self.thinking = Thinking(settings.enable_thinking, settings.preserve_thinking, settings.mask_history)
        headers = family is not None and family.trusts_headers
        self.takes = frozenset([Health.OK, Health.BROKEN] if headers else [Health.OK])
        watched = family.watched if family is not None else ()
        known = [token for token in watched if counter is None or counter.is_single(token)]
        self.watched = tuple(sorted(known, key=len, reverse=True))
        self.own = re.compile("|".join(map(re.escape, self.watched)) or "(?!)")
        self.watch = re.compile(f"{OPEN}\\d+{CLOSE}|{self.own.pattern}")

    def under(self, settings: TrainerSettings) -> Budgeter:
        """The same template, tokenizer and model under other settings."""
        family: Any = self.family
        if hasattr(family, "settings"):
            family = replace(family, settings=settings)
        return Budgeter(self.template, settings, self.counter, family)

    def count(self, conversations: Sequence[Conversation]) -> Iterator[RowBudget]:
        """The budget of each conversation, in order."""
        rendered = [self.render(conversation) for conversation in conversations]
        plain: dict[str, int] = {}
        marked: dict[str, tuple[int, tuple[int, ...]]] = {}
        for row in rendered:
            for piece in (piece for pieces in row.turns for piece in pieces):
                if piece.text and not piece.special:
                    if piece.marks:
                        marked[piece.text] = (0, ())
                    else:
                        plain[piece.text] = 0
        self.measure(plain, marked)
        for conversation, row in zip(conversations, rendered, strict=True):
            yield self.budget(conversation, row, plain, marked)

    def measure(self, plain: dict[str, int], marked: dict[str, tuple[int, tuple[int, ...]]]) -> None:
        """Fill in tokens of each text, and of marked ones the positions of their watched tokens.

        Without a tokenizer, bytes stand for tokens: byte-level BPE never makes more.
        """
        if self.counter is None:
            plain.update({text: size(text) for text in plain})
            marked.update({text: (size(text), ()) for text in marked})
            return
        if plain:
            plain.update(zip(plain, self.counter.counts(list(plain)), strict=True))
        if marked:
            found = self.counter.positions(list(marked), self.watched)
            marked.update(zip(marked, found, strict=True))

    def render(self, conversation: Conversation) -> Rendered:
        """The row as the plugin and the template write it."""
        result = Rendered()
        turns = [(role, content) for _, role, content in conversation.turns]
        if self.template.takes_media:
            contents = self.place(conversation, result)
            if result.error:
                return result
            turns = [(role, content) for (role, _), content in zip(turns, contents, strict=True)]
        if any(role is Role.SYSTEM for role, _ in turns):
            # a turn without a role, where tags leave out user_tag and system_tag: template.py, Template._encode
            result.error = "Unexpected role: system"
            return result
        try:
            encoded = self.template.encode(turns, self.system(conversation), conversation.tools, self.thinking)
        except ToolFault as fault:
            result.error, result.why = str(fault), Why.TOOLS
            return result
        except ToolTextTooLong:
            result.unknown = "the text of its tools grows out of all bounds"
            return result
        if not all(is_encodable(piece.text) for pieces in encoded for piece in pieces):
            # no column of text can hold one: it is written \ud800 within the JSON of a tool or a call
            result.error, result.why = "TypeError: half of a surrogate pair, which no tokenizer takes", Why.TOOLS
            return result
        for pieces in encoded:
            result.turns.append(
                [
                    Marked(piece.text, True, []) if piece.special else self.mark(piece.text, result.marks)
                    for piece in pieces
                    if not piece.special or self.stands(piece.text)
                ]
            )
        return result

    def stands(self, special: str) -> bool:
        """Whether a piece gives a token at all: `bos_token` does not where the tokenizer has none."""
        return special != "bos_token" or self.counter is None or self.counter.has_bos

    def place(self, conversation: Conversation, result: Rendered) -> list[str]:
        """The turns' texts with their placeholders expanded; fills in the row's blocks, or why there are none."""
        seen: Counter[MediaKind] = Counter()
        for position, (_, _, content) in enumerate(conversation.turns):
            for tag in TAGS.findall(content):
                kind = KIND_OF_TAG[tag]
                facts = conversation.media[kind][seen[kind]]
                result.placed.append(Placed(kind, seen[kind], position, facts))
                seen[kind] += 1
        if any(OPEN in content for _, _, content in conversation.turns):
            result.unknown = "the text holds noncharacters of Unicode"
        if self.family is None:
            if result.placed:
                result.unknown = f"the media tokens of template {self.template.name} with this tokenizer are not known"
            return [content for _, _, content in conversation.turns]
        try:
            result.blocks = self.family.expand(result.placed)
            result.lead = self.family.lead(result.placed)
            blocks = [self.stand_ins(block, number, result.marks) for number, block in enumerate(result.blocks)]
            texts = iter(blocks) if blocks else None
            contents = []
            for _, _, content in conversation.turns:
                text = content if texts is None else TAGS.sub(lambda _: next(texts), content)
                contents.append(self.family.rewritten(text, result.placed))
        except Crash as fault:
            result.error, result.why = str(fault), fault.why
            return []
        return contents

    def stand_ins(self, block: Block, number: int, marks: list[Mark]) -> str:
        """A block's text with a stand-in for each watched token; what they stand for is added to `marks`."""
        text = ""
        for part in block.parts:
            if isinstance(part, Run):
                if part.count:
                    text += f"{OPEN}{len(marks)}{CLOSE}"
                    marks.append(Mark(part.token, part.count, number, True))
                continue
            at = 0
            for match in self.own.finditer(part):
                text += part[at : match.start()] + f"{OPEN}{len(marks)}{CLOSE}"
                marks.append(Mark(match.group(), 1, number, False))
                at = match.end()
            text += part[at:]
        return text

    def mark(self, text: str, known: Sequence[Mark]) -> Marked:
        """A piece with its stand-ins replaced by the tokens that they stand for."""
        if self.watch.search(text) is None:
            return Marked(text, False, [])
        marks: list[Mark | None] = []

        def put(match: re.Match[str]) -> str:
            found = STAND_IN.fullmatch(match.group())
            if found is None:
                marks.append(None)
                return match.group()
            mark = known[int(found[1])]
            marks.append(mark)
            return mark.token

        return Marked(self.watch.sub(put, text), False, marks)

    def system(self, conversation: Conversation) -> str:
        """The row's system prompt, else the yaml's default_system, else the template's."""
        if conversation.system:
            return conversation.system
        override = self.settings.default_system
        return self.template.default_system if override is None else override

    def budget(
        self,
        conversation: Conversation,
        row: Rendered,
        plain: Mapping[str, int],
        marked: Mapping[str, tuple[int, tuple[int, ...]]],
    ) -> RowBudget:
        """Sum up one row and cut it at the limit if it is longer."""
        exact = not row.unknown and not row.error and self.counter is not None
        turns: list[EncodedTurn] = []
        literals: list[tuple[int, Literal]] = []
        for position, pieces in enumerate(row.turns):
            turns.append(self.measure_turn(conversation, position, pieces, row.placed, plain, marked, literals))
        total = sum(turn.tokens for turn in turns) + row.lead + (1 if self.template.efficient_eos else 0)
        limit = self.settings.effective_cutoff if exact else max(total, 1)
        kept = truncate(turns, row.lead, limit, self.masking, self.cut)
        features = sum(block.features for block in row.blocks)
        literal = ""
        if exact and literals:
            literal, kept = self.surplus(turns, literals, kept, row)
        elif exact and sum(span.tokens for turn in turns for span in turn.spans) < features:
            literal = "a placeholder stands inside a thought that the template takes out"
        return RowBudget(
            conversation.row,
            total,
            features + row.lead,
            exact,
            not row.unknown and not row.error,
            kept,
            row.unknown,
            row.error,
            row.why,
            literal,
            self.family.step_fault(row.placed) if exact and self.family is not None else "",
            self.skeleton(turns, row) if self.keep_skeletons and exact and row.placed and not literal else None,
            tuple(turn.tokens for turn in turns),
            self.family.member(row.placed) if self.joins and self.family is not None and not row.error else TEXT,
        )

    def measure_turn(
        self,
        conversation: Conversation,
        position: int,
        pieces: Sequence[Marked],
        placed: Sequence[Placed],
        plain: Mapping[str, int],
        marked: Mapping[str, tuple[int, tuple[int, ...]]],
        literals: list[tuple[int, Literal]],
    ) -> EncodedTurn:
        """One turn's length with its runs' places; watched tokens of its own text are added to `literals`."""
        at = 0
        spans: list[Span] = []
        for piece in pieces:
            if piece.special:
                at += 1
                continue
            if not piece.marks:
                at += plain.get(piece.text, 0)
                continue
            length, places = marked[piece.text]
            grown = 0
            # without a tokenizer there are no places, and only lengths are wanted
            for mark, place, token in zip(piece.marks, places, self.own.findall(piece.text), strict=False):
                here = at + place + grown
                if mark is None:
                    literals.append((position, Literal(here, token)))
                elif mark.feature:
                    medium = placed[mark.number]
                    spans.append(Span(here, mark.count, medium.kind, medium.slot))
                    grown += mark.count - 1
            if not places:
                grown = sum(mark.count - 1 for mark in piece.marks if mark is not None)
            at += length + grown
        return EncodedTurn(conversation.turns[position][0], at, tuple(spans))

    def surplus(
        self, turns: Sequence[EncodedTurn], found: Sequence[tuple[int, Literal]], kept: Kept, row: Rendered
    ) -> tuple[str, Kept]:
        """Why special tokens in the row's own text stop its step ("" when they do not), and what is kept: where marks
        are paired, what closes a unit that is cut may stand in the text, and cut media alone stop nothing."""
        assert self.family is not None
        starts = list(accumulate(kept.turns, initial=row.lead))
        literals = [
            Literal(starts[position] + literal.place, literal.token)
            for position, literal in found
            if literal.place < kept.turns[position]
        ]
        units = [
            Unit(
                starts[position] + span.start,
                min(span.tokens, kept.turns[position] - span.start),
                span.kind,
                span.start + span.tokens < kept.turns[position],
            )
            for position, turn in enumerate(turns)
            for span in turn.spans
            if span.start <= kept.turns[position]
        ]
        if not literals:
            return "", kept
        media = list(zip(row.placed, row.blocks, strict=True))
        reason = self.family.refuses(literals, units, kept.tokens, media)
        if self.cut is Cut.PAIRS:
            kept = replace(kept, media=tuple(replace(medium, stops=False) for medium in kept.media))
        return reason, kept

    def skeleton(self, turns: Sequence[EncodedTurn], row: Rendered) -> Skeleton:
        """The row without its media, for other settings."""
        starts: dict[tuple[MediaKind, int], tuple[int, int]] = {}
        for position, turn in enumerate(turns):
            for span in turn.spans:
                starts.setdefault((span.kind, span.slot), (position, span.start))
        texts = [turn.tokens for turn in turns]
        media = []
        gone = Counter[int]()
        for medium, block in zip(row.placed, row.blocks, strict=True):
            position, start = starts.get((medium.kind, medium.slot), (medium.turn, turns[medium.turn].tokens))
            cost = self.block_tokens(block)
            before = self.block_tokens(Block(tuple(opening(block))))
            media.append(Medium(position, max(0, start - before - gone[position]), medium))
            gone[position] += cost
            texts[position] -= cost
        return Skeleton(tuple(texts), tuple(media))

    def block_tokens(self, block: Block) -> int:
        """Tokens of a whole block; its texts stand between special tokens and are counted by themselves."""
        assert self.counter is not None
        return sum(part.count if isinstance(part, Run) else self.counter.short(part) for part in block.parts)

    def recount(self, skeleton: Skeleton) -> tuple[int, Kept]:
        """A row's tokens and what truncation leaves of it under this budgeter's settings; raises Crash."""
        assert self.family is not None
        placed = [medium.placed for medium in skeleton.media]
        blocks = self.family.expand(placed)
        lead = self.family.lead(placed)
        lengths = list(skeleton.turns)
        spans: list[list[Span]] = [[] for _ in lengths]
        grown = Counter[int]()
        for medium, block in zip(skeleton.media, blocks, strict=True):
            at = medium.offset + grown[medium.position]
            cost = 0
            for part in block.parts:
                if isinstance(part, Run):
                    if part.count:
                        placed_at = medium.placed
                        spans[medium.position].append(Span(at + cost, part.count, placed_at.kind, placed_at.slot))
                    cost += part.count
                else:
                    assert self.counter is not None
                    cost += self.counter.short(part)
            grown[medium.position] += cost
            lengths[medium.position] += cost
        turns = [
            EncodedTurn(number, length, tuple(found))
            for number, (length, found) in enumerate(zip(lengths, spans, strict=True))
        ]
        total = sum(lengths) + lead + (1 if self.template.efficient_eos else 0)
        return total, truncate(turns, lead, self.settings.effective_cutoff, self.masking, self.cut)


def opening(block: Block) -> Iterator[str | Run]:
    """What stands before a block's first run."""
    for part in block.parts:
        if isinstance(part, Run) and part.count:
            return
        yield part


def size(text: str) -> int:
    """Bytes of a text."""
    return len(text.encode("utf-8", "surrogatepass"))


def is_encodable(text: str) -> bool:
    """Whether UTF-8 can hold a text; tokenizers raise TypeError for one that it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
