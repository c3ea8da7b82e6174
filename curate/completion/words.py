"""The words that a shell offers for a value."""

from __future__ import annotations

from curate.parsers import Argument, Kind


def words_of(argument: Argument) -> tuple[str, ...]:
    """Words for a value: choices, rule codes, template names; none for files and free text."""
    if argument.kind is Kind.CHOICE:
        return argument.choices
    if argument.kind in (Kind.CODE, Kind.CODES):
        from validators.rules.registry import BY_CODE

        families = {code.rstrip("0123456789") for code in BY_CODE} if argument.kind is Kind.CODES else set()
        return (*sorted(families), *BY_CODE)
    if argument.kind is Kind.TEMPLATE:
        from validators.budgets.templates import template_names

        return tuple(sorted(template_names()))
    return ()


def quote(text: str) -> str:
    """Text in single quotes, as bash and zsh read it."""
    return "'" + text.replace("'", "'\\''") + "'"
