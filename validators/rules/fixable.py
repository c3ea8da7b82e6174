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


NOT = Fixable(Fix.NEVER, None)
SAFE = Fixable(Fix.SOMETIMES, Safety.SAFE)
UNSAFE = Fixable(Fix.SOMETIMES, Safety.UNSAFE)

FIXABLE: Mapping[str, Fixable] = {}
