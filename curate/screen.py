"""Whether stdout is a terminal to draw on, how wide it is, and whether it shows colours."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from validators.report.terminal import Screen

CHOICES = ("auto", "always", "never")
WIDTH = 100  # where colours are wanted and there is no terminal to ask


def find_screen(choice: str) -> Screen | None:
    """The screen for `--color CHOICE`; None where plain text is to be written, as into a pipe.

    NO_COLOR (no-color.org) and FORCE_COLOR (force-color.org) count where they are set and not empty; the option goes
    before both.
    """
    terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    colour = wants_colour(choice, terminal)
    if not terminal and not colour:
        return None
    from validators.report.terminal import Screen

    return Screen(max(20, shutil.get_terminal_size((WIDTH, 24)).columns), colour)


def wants_colour(choice: str, terminal: bool) -> bool:
    """Colours: as the option says, else as the environment says, else on a terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    forced = os.environ.get("FORCE_COLOR")
    return forced != "0" if forced else terminal
