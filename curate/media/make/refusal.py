"""Why a medium is not made anew."""

from __future__ import annotations


class CannotMake(Exception):
    """Why a file stays as it is; the message reads on after a colon."""
