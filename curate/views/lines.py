"""Lines of styled words, for a terminal or for a pipe. Their texts must be printable already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from validators.report.terminal import Screen

Line = Sequence[tuple[str, str]]
"""Pieces of one line: text and its style as rich names it, "" for none."""


def written(lines: Iterable[Line], screen: Screen | None) -> str:
    """The lines: styled and wrapped on a screen, as they are without one."""
    if screen is None:
        return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)
    from rich.text import Text

    return screen.text([Text.assemble(*line) for line in lines])
