"""What a report shows of the rows themselves: their text, their media, and how long all rows are."""

from __future__ import annotations

from dataclasses import dataclass

from validators.model import MediaKind, Outcome


@dataclass(frozen=True, slots=True)
class Preview:
    """A small picture of a medium (`data`, of type `mime`), or the lowest and highest sample, -100 to 100, of each of
    some equal parts of a sound."""

    kind: MediaKind
    data: bytes = b""
    mime: str = ""
    width: int = 0
    height: int = 0
    peaks: tuple[tuple[int, int], ...] = ()
    note: str = ""
    """What of the medium the preview leaves out; empty when nothing."""


@dataclass(frozen=True, slots=True)
class ShownMedium:
    """A row's medium: the path as the row has it (empty for bytes inside the row), what is known of it in words.

    file: the regular file to take the preview from, data: the bytes inside the row; neither where there is nothing to
    show, or where the path leaves the media root.
    """

    kind: MediaKind
    path: str
    note: str
    file: str | None = None
    data: bytes | None = None
    preview: Preview | None = None
    reason: str = ""
    """Why there is no preview."""


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """A turn's role and the start of its text; `left_out` counts the characters that are missing."""

    role: str
    text: str
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row by its place in its file, what becomes of it, and what is in it.

    tokens: before truncation; kept, supervised: after it; None where they are not exactly known.
    """

    file: str
    row: int
    outcome: Outcome
    tokens: int | None = None
    kept: int | None = None
    supervised: int | None = None
    turns: tuple[ShownTurn, ...] = ()
    turns_left_out: int = 0
    media: tuple[ShownMedium, ...] = ()
    media_left_out: int = 0


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long the counted rows of a dataset are.

    rows: each cutoff_len that is the lowest to leave some rows whole, rising, with the number of those rows. unit: what
    these were rounded up to, to keep their number bounded. supervised: for some values of cutoff_len, rising, the
    tokens that carry loss under them.
    """

    rows: tuple[tuple[int, int], ...] = ()
    unit: int = 1
    supervised: tuple[tuple[int, int], ...] = ()
