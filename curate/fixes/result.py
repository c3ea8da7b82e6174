"""What mending did, and what it left: the nouns of the report."""

from __future__ import annotations

from dataclasses import dataclass, field

from validators.rules.fixable import Safety


@dataclass(frozen=True, slots=True)
class Applied:
    """A mend that was kept; row is None for a whole file or an entry."""

    file: str
    row: int | None
    code: str
    words: str
    safety: Safety


@dataclass(frozen=True, slots=True)
class Left:
    """A finding that has a fixer and was not mended, and why."""

    file: str
    row: int | None
    code: str
    why: str
    unsafe: bool = False
    """An unsafe mend is there, and was not asked for."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A row that was moved to a quarantine file."""

    file: str
    row: int
    codes: tuple[str, ...]
    to: str


@dataclass(slots=True)
class Result:
    """All of it, in the order in which it was done."""

    applied: list[Applied] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
