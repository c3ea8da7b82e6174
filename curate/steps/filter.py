"""`filter`: keep the rows for which an SQL condition holds."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

import polars as pl

from curate.steps.columns import COLUMNS, installed, with_columns
from curate.steps.step import Note, Passed, Surroundings
from validators.errors import UsageFault

OWN = ("id", "source", "split", "system", "tools", "meta")
"""Canonical columns of plain text, which conditions may name too."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition like `answer_chars >= 10 AND width >= 64`; null counts as false."""

    condition: str
    expression: pl.Expr
    names: tuple[str, ...]

    def __call__(self, rows: pl.DataFrame, around: Surroundings) -> Passed:
        """Rows that hold; a note for each of the others."""
        try:
            holds = with_columns(rows, self.names, around).select(self.expression.fill_null(False)).to_series()
        except pl.exceptions.PolarsError as error:
            reason = str(error).splitlines()[0]
            raise UsageFault(f"filter {self.condition!r}", reason, "a condition that is true or false") from error
        if holds.dtype != pl.Boolean or len(holds) != len(rows):
            raise UsageFault(f"filter {self.condition!r}", f"values of type {holds.dtype}", "true or false, once a row")
        reason = f"not {self.condition}"
        return Passed(rows.filter(holds), [Note(row, "dropped", reason) for row in rows.filter(~holds)["row"]])


def parse(where: str, condition: str) -> Filter:
    """A condition in polars' SQL (no queries, no files); UsageFault for an unknown column, with the nearest, and
    for one whose library is missing."""
    known = [*COLUMNS, *OWN]
    try:
        expression = pl.sql_expr(condition)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise UsageFault(where, f"{condition!r}: {reason}", "an SQL condition: answer_chars >= 10") from error
    names = tuple(dict.fromkeys(expression.meta.root_names()))
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            cure = f"did you mean {near[0]!r}?" if near else ""
            raise UsageFault(where, f"{condition!r}: no column {name!r}", f"one of {', '.join(known)}", cure)
    if not names:
        raise UsageFault(where, f"{condition!r} names no column", f"one of {', '.join(known)}")
    installed(where, names)
    return Filter(condition, expression, names)
