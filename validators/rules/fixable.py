"""Which findings a machine can mend, and how sure it is to be right. `curate fix` does it; here it is only declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Fix(StrEnum):
    """Whether a machine can mend it."""

    NEVER = "never"
    SOMETIMES = "sometimes"
    ALWAYS = "always"


class Safety(StrEnum):
    """`safe` leaves the row's meaning as a person reads it; `unsafe` guesses what was meant."""

    SAFE = "safe"
    UNSAFE = "unsafe"


@dataclass(frozen=True, slots=True)
class Fixable:
    """What can be done about a rule's findings. safety: of the surest way; others may be unsafe."""

    fix: Fix
    safety: Safety | None

    def __str__(self) -> str:
        """`sometimes (unsafe)`."""
        return f"{self.fix.value} ({self.safety.value})" if self.safety else self.fix.value


NOT = Fixable(Fix.NEVER, None)
SAFE = Fixable(Fix.SOMETIMES, Safety.SAFE)
UNSAFE = Fixable(Fix.SOMETIMES, Safety.UNSAFE)

FIXABLE: Mapping[str, Fixable] = {
    "AUD101": UNSAFE,
    "DSI002": SAFE,
    "DSI003": SAFE,
    "DSI004": SAFE,
    "DSI101": SAFE,
    "DSI102": SAFE,
    "DSI103": SAFE,
    "DSI104": SAFE,
    "DSI106": UNSAFE,
    "DSI201": SAFE,
    "DSI301": UNSAFE,
    "FRM103": SAFE,
    "FRM104": UNSAFE,
    "FRM105": SAFE,
    "FRM106": SAFE,
    "FRM107": SAFE,
    "FRM110": SAFE,
    "FRM112": SAFE,
    "FRM113": SAFE,
    "FRM115": SAFE,
    "FRM116": SAFE,
    "IMG101": UNSAFE,
    "IMG301": SAFE,
    "IMG302": UNSAFE,
    "IMG303": UNSAFE,
    "IMG304": UNSAFE,
    "MED001": SAFE,
    "MED002": SAFE,
    "MED101": SAFE,
    "MED103": SAFE,
    "MED202": UNSAFE,
    "TAG101": UNSAFE,
    "TAG201": UNSAFE,
    "TAG202": UNSAFE,
    "TAG203": UNSAFE,
    "TAG204": UNSAFE,
    "TAG205": UNSAFE,
    "TAG206": UNSAFE,
    "TRN101": SAFE,
    "TRN201": UNSAFE,
    "TRN202": UNSAFE,
    "VID101": UNSAFE,
    "VID103": UNSAFE,
    "VID301": SAFE,
    "VID302": UNSAFE,
}
