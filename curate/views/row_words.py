"""Rows in a terminal: turns with their roles, tags set off, media with their facts, findings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from curate.views.judge import ViewedRow, ViewedTurn
from curate.views.lines import Line
from validators.model import MediaKind, Role
from validators.report.colours import COLOURS, SEVERITIES
from validators.report.escaping import printable
from validators.report.html.values import lines

MOST_CHARS = 2000  # of one turn; --full prints all
TAG = re.compile("(" + "|".join(kind.tag for kind in MediaKind) + ")")
ROLES = {
    Role.USER.value: "bold green",
    Role.ASSISTANT.value: "bold blue",
    Role.SYSTEM.value: "bold magenta",
    Role.FUNCTION.value: "bold cyan",
    Role.OBSERVATION.value: "bold yellow",
}


def row_lines(row: ViewedRow, full: bool) -> Iterator[Line]:
    """One row."""
    shown = row.shown
    line = f" (line {row.line})" if row.line is not None else ""
    yield [(f"{printable(shown.file)}  row {shown.row}{line}", "bold"), (f"  {printable(row.dataset)}", "dim")]
    yield [("  → ", "dim"), (shown.outcome.value, COLOURS[shown.outcome]), (token_words(row), "")]
    if row.raw:
        yield [("  no conversation: ", "red"), (printable(row.raw), "")]
    for turn in row.turns:
        yield from turn_lines(turn, full)
    if row.tools:
        yield [("  tools", "bold cyan")]
        yield from text_lines(row.tools, full)
    for medium in row.media:
        yield [
            (f"  {printable(medium.place)}  ", "bold"),
            (printable(medium.path) or "inside the row", ""),
            (f"  {printable(medium.facts)}", "dim" if medium.well else "red"),
        ]
    for finding in row.findings:
        place = f"{printable(finding.place.path)}  " if finding.place.path else ""
        expected = f"; expected {printable(finding.expected)}" if finding.expected else ""
        yield [(f"  {place}", ""), (f"{finding.code} {finding.name}", SEVERITIES[finding.severity])]
        yield [(f"    {printable(finding.found)}{expected}", "")]
        if finding.cure:
            yield [("    fix: ", "green"), (printable(finding.cure), "")]


def token_words(row: ViewedRow) -> str:
    """`  123 tokens, 99 kept, 40 supervised`; nothing where they are not exactly known."""
    shown = row.shown
    if shown.tokens is None:
        return ""
    kept = f", {shown.kept} kept" if shown.kept is not None and shown.kept < shown.tokens else ""
    return f"  {shown.tokens} tokens{kept}, {shown.supervised} supervised"


def turn_lines(turn: ViewedTurn, full: bool) -> Iterator[Line]:
    """A turn: its role, its place, its text."""
    other = f" ({turn.canon})" if turn.canon and turn.canon != turn.role else ""
    role = printable(turn.role, 60) or "no role"
    yield [(f"  {role}", ROLES.get(turn.canon, "bold red")), (f"{other}  {printable(turn.place)}", "dim")]
    yield from text_lines(turn.text, full)


def text_lines(text: str, full: bool) -> Iterator[Line]:
    """Text four further in, tags set off, no control character left."""
    start = text if full else text[:MOST_CHARS]
    for line in lines(start).split("\n"):
        yield [("    ", ""), *((piece, "reverse" if place % 2 else "") for place, piece in enumerate(TAG.split(line)))]
    if len(start) < len(text):
        yield [(f"    … {len(text) - len(start)} more characters (--full prints them)", "dim")]
