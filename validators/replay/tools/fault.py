"""What makes the trainer's tool formatters fail, as one typed fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

DETAIL_CHARACTERS = 200
RAISED = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class ToolFault(Exception):
    """The trainer raises `error` (an exception's class name) while it encodes the row, which stops preprocessing."""

    def __init__(self, error: str, detail: str) -> None:
        self.error = error
        self.detail = detail if len(detail) <= DETAIL_CHARACTERS else detail[:DETAIL_CHARACTERS] + "…"
        super().__init__(f"{error}: {self.detail}")


class ToolTextTooLong(Exception):
    """Indentation blows the text up beyond what is worth holding; the trainer may or may not survive it."""


@contextmanager
def trainer_faults() -> Iterator[None]:
    """Turn what untrusted shapes raise into ToolFault.

    The replay does to a value what the trainer does, so it meets the same exceptions, RecursionError among them (how
    deep that is differs by the few frames that stand below). Invalid JSON is the one that the trainer re-raises, as
    RuntimeError (llamafactory 0.9.5, data/formatter.py).
    """
    try:
        yield
    except json.JSONDecodeError as fault:
        raise ToolFault("RuntimeError", f"not JSON: {fault}") from fault
    except RAISED as fault:
        raise ToolFault(type(fault).__name__, str(fault)) from fault
