"""Texts with places for a row's own fields, and the choice among them.

A template is no format string: `{meta.FIELD}`, `{source}` and `{split}` are replaced, `{{NAME}}` stands for `{NAME}`,
and nothing else means anything. What is put in is not read again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from curate.ingest.raw import NoUse
from validators.model import MediaKind

META = "meta."
FIELDS = ("source", "split", f"{META}FIELD")
NAME = r"([A-Za-z_][^{}\"':,\n]*)"
PIECE = re.compile(rf"\{{\{{{NAME}\}}\}}|\{{{NAME}\}}")
"""A name in one or two pairs of braces; `{"a": {"b": 1}}` is none."""


class BadTemplate(ValueError):
    """Why a text is no template."""


@dataclass(frozen=True, slots=True)
class Fields:
    """What templates can name of a row. source: its name in the ledger. meta: JSON text."""

    source: str
    split: str | None = None
    meta: str | None = None

    def text(self, name: str) -> str:
        """A field as text; NoUse where the row has none."""
        kept = name.removeprefix(META)
        if kept != name:
            value = (json.loads(self.meta) if self.meta else {}).get(kept)
        else:
            value = self.source if name == "source" else self.split
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
        if not text.strip():
            cure = f" (keep: [{kept}] in the source)" if kept != name else ""
            raise NoUse(f"its prompt has a place for {name}, which the row lacks{cure}")
        return text


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field of the row goes."""

    field: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text in parts, and how often it is chosen beside others."""

    parts: tuple[str | Place, ...]
    weight: float = 1.0

    def filled(self, fields: Fields) -> str:
        """The text with the row's fields; NoUse names one that the row lacks."""
        return "".join(part if isinstance(part, str) else fields.text(part.field) for part in self.parts)


def literal(text: str) -> Template:
    """A text in which braces mean nothing."""
    return Template((text,))


def parse(text: str, weight: float = 1.0) -> Template:
    """A text with places; BadTemplate for a field that rows do not have."""
    parts: list[str | Place] = []
    at = 0
    for match in PIECE.finditer(text):
        parts.append(text[at : match.start()])
        at = match.end()
        name = match[2]
        if name is None:
            parts.append(f"{{{match[1]}}}")
        elif name in ("source", "split") or (name.startswith(META) and name != META):
            parts.append(Place(name))
        elif name == "caption":
            raise BadTemplate("{caption} is the answer, which the question would give away")
        else:
            raise BadTemplate(f"no field {{{name}}}")
    parts.append(text[at:])
    return Template(tuple(part for part in parts if part != ""), weight)


def choose(choices: Sequence[Template], seed: int, what: str, content: object) -> Template:
    """One by its weight, by a hash of seed and row: the order of rows and what other rows hold do not matter.

    what: for which of a row's prompts, as each is chosen by itself. content: the row as JSON can hold it.
    """
    digest = hashlib.sha256(json.dumps([seed, what, content]).encode()).digest()
    steps = list(accumulate(choice.weight for choice in choices))
    at = int.from_bytes(digest[:8], "big") / 2**64 * steps[-1]
    return next((choice for choice, step in zip(choices, steps, strict=True) if at < step), choices[-1])


@dataclass(frozen=True, slots=True)
class Prompts:
    """A dataset's own: questions for captions by their first medium, system prompts for rows without, and the seed."""

    questions: Mapping[MediaKind, tuple[Template, ...]] = field(default_factory=dict)
    system: tuple[Template, ...] = ()
    seed: int = 0
