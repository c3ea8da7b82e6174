"""How many rows may be lost on the way to the loss: `0.5%` of them, or a plain number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from validators.errors import UsageFault

FORM = re.compile(r"(?P<number>\d{1,12}(?:\.\d{1,12})?)\s*(?P<percent>%?)", re.ASCII)

SCHEMA: Mapping[str, object] = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": r"^\s*([0-9]+|[0-9]+(\.[0-9]+)?\s*%)\s*$"},
    ]
}
"""Its form in a JSON Schema (draft 2020-12)."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A share of the rows, or a number of rows: `number` is in percent where `percent` is set."""

    number: Fraction
    percent: bool
    text: str
    """As it was written."""

    def exceeded(self, lost: int, rows: int) -> bool:
        """Whether `lost` of `rows` are more than the limit; exact, without floating point."""
        return lost * 100 > self.number * rows if self.percent else lost > self.number


def parse_limit(value: object, where: object) -> Limit:
    """`0.5%`, `12` or 12 as a Limit; UsageFault for anything else, a share above 100 % included."""
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    match = FORM.fullmatch(text)
    if match is not None:
        number, percent = Fraction(match["number"]), match["percent"] == "%"
        if number <= 100 if percent else number.denominator == 1:
            return Limit(number, percent, text)
    raise UsageFault(where, f"{value!r}", 'a share of the rows like "0.5%" (up to 100%), or a whole number of rows')
