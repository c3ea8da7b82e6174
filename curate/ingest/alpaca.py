"""Alpaca: `instruction`, `input`, `output`, `history` of earlier pairs, `system`; media in columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from curate.ingest import tables
from curate.ingest.captions import said
from curate.ingest.fields import Fields
from curate.ingest.raw import Intake, NoUse, RawItem, Turn
from curate.ingest.speech import columns_of_media
from validators.model import MediaKind, Role

COLUMNS = ("instruction", "input", "output", "history", *(kind.column for kind in MediaKind), "system", "tools")


def read(intake: Intake) -> Iterator[RawItem]:
    """Stream the rows."""
    return tables.read(intake, item)


def item(fields: Fields) -> RawItem:
    """One row; instruction and input are one question on two lines (llamafactory 0.9.5, data/converter.py)."""
    media = columns_of_media(fields)
    parts = [fields.get(name) for name in ("instruction", "input")]
    question = "\n".join(part for part in parts if isinstance(part, str) and part)
    answer = fields.get("output")
    if not question.strip() or not isinstance(answer, str) or not answer.strip():
        raise NoUse("an instruction or an output without text")
    turns = [*earlier(fields.get("history")), Turn(Role.USER, question), Turn(Role.ASSISTANT, answer)]
    return said(fields, media, tuple(turns))


def earlier(history: object) -> Iterator[Turn]:
    """The turns before the last."""
    if history is None:
        return
    if not isinstance(history, list):
        raise NoUse("history is no list of pairs")
    for number, pair in enumerate(history):
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(t, str) and t.strip() for t in pair):
            raise NoUse(f"history {number} is no pair of texts")
        yield Turn(Role.USER, pair[0])
        yield Turn(Role.ASSISTANT, pair[1])


def fits(rows: Sequence[Mapping[str, object]]) -> bool:
    """Whether rows have an instruction and an output."""
    return bool(rows) and all("instruction" in row and "output" in row for row in rows)
