"""The one error that ends a command: bad usage or configuration (exit code 2)."""

from __future__ import annotations


class UsageFault(Exception):
    """Says where, what was found, what was expected and what to do; printed as one message, never as a traceback."""

    def __init__(self, where: object, found: str, expected: str = "", cure: str = "") -> None:
        self.where = str(where)
        self.found = found
        self.expected = expected
        self.cure = cure
        text = f"{self.where}: {found}"
        if expected:
            text += f"; expected {expected}"
        if cure:
            text += f"\n  fix: {cure}"
        super().__init__(text)
