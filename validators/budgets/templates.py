"""Chat templates of llamafactory 0.9.5, from the generated table, and how a turn is rendered with them.

Follows data/template.py (Template._encode) and data/formatter.py (StringFormatter.apply). What depends on code
beyond plain slots (reasoning templates, tool calls) is said to be unknown, not approximated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from validators.model import MediaKind, Role

TABLE = Path(__file__).with_name("templates.json")
PLAIN_ROLES = {Role.USER: "user", Role.ASSISTANT: "assistant", Role.OBSERVATION: "observation"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a rendered turn: text to encode, or a special token by its role (`bos_token`, `eos_token`) or text."""

    text: str
    special: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """A chat template as data."""

    name: str
    spec: Mapping[str, Any]

    @property
    def plugin(self) -> str:
        """The class that handles media (data/mm_plugin.py)."""
        return str(self.spec["plugin"]["class"])

    @property
    def is_exact(self) -> bool:
        """Whether plain slots are all there is to it."""
        return bool(self.spec["class"] == "Template")

    @property
    def efficient_eos(self) -> bool:
        """Whether one end token closes the whole row instead of each turn."""
        return bool(self.spec["efficient_eos"])

    @property
    def default_system(self) -> str:
        """The system prompt of rows that have none."""
        return str(self.spec["default_system"])

    def accepts(self, kind: MediaKind) -> bool:
        """Whether the template's plugin knows this modality (mm_plugin.py: `_validate_input`)."""
        return self.spec["plugin"][f"{kind.value}_token"] is not None

    def render(self, role: Role, content: str, pair: int) -> list[Piece] | None:
        """One turn; None for roles whose rendering needs the tool formatters."""
        slots = PLAIN_ROLES.get(role)
        return None if slots is None else self.fill(slots, {"content": content, "idx": str(pair)}, role is Role.USER)

    def opening(self, system: str) -> list[Piece]:
        """What stands before the first turn: the prefix and the system prompt."""
        pieces = self.fill("prefix", {}, False)
        return pieces + self.fill("system", {"content": system}, False) if system else pieces

    def fill(self, part: str, values: Mapping[str, str], with_index: bool) -> list[Piece]:
        """Slots with their placeholders replaced, once each and in order, as StringFormatter does."""
        pieces = []
        for slot in cast("Sequence[object]", self.spec[part]["slots"]):
            if isinstance(slot, str):
                text = slot
                for name, value in values.items():
                    if name != "idx" or with_index:
                        text = text.replace("{{" + name + "}}", value, 1)
                pieces.append(Piece(text))
            elif isinstance(slot, Mapping):
                pieces.append(Piece(str(slot.get("special") or slot.get("token")), special=True))
        return pieces


@cache
def table() -> Mapping[str, Any]:
    """The generated table (scripts/make_tables.py)."""
    return cast("Mapping[str, Any]", json.loads(TABLE.read_text(encoding="utf-8")))


def template_names() -> tuple[str, ...]:
    """Every template of the replayed llamafactory."""
    return tuple(table()["templates"])


@cache
def find_template(name: str) -> Template | None:
    """The template of that name, None when the trainer has none."""
    spec = table()["templates"].get(name)
    return None if spec is None else Template(name, spec)
