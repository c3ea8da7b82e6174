"""ms-swift: `messages`, and `images`, `videos`, `audios` as paths, objects or base64; tool_call and tool_response.

Documented in ms-swift's Custom-dataset.md. The answers for preference training (`rejected_response`, `label`) have no
place in a supervised conversation; boxes for grounding (`objects`) are written by each model in its own way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from curate.ingest import tables
from curate.ingest.fields import Fields
from curate.ingest.given import bare_base64, by_kind
from curate.ingest.openai import turns_of
from curate.ingest.raw import Intake, Media, NoUse, RawItem
from curate.ingest.speech import read_messages, talk
from validators.model import MediaKind

BOXES = ("<ref-object>", "<bbox>")
MARKS = ("objects", "rejected_response")
COLUMNS = (*(kind.column for kind in MediaKind), "messages", "system", "tools")


def read(intake: Intake) -> Iterator[RawItem]:
    """Stream the rows."""
    return tables.read(intake, item)


def item(fields: Fields) -> RawItem:
    """One row."""
    speech = read_messages(fields, fields.get("messages"), ("role", "content"), "messages")
    if place := next((mark for mark in BOXES for turn in speech.turns if mark in turn.content), None):
        raise NoUse(f"{place} in the text, which stands for objects that each model writes in its own way")
    media: Media = ()
    for kind in MediaKind:
        for name in (kind.value, kind.column):
            media += by_kind(unwrapped(fields.get(name)), kind, name)
    return talk(fields, speech, media)


def unwrapped(value: object) -> object:
    """Media with base64 texts as bytes."""
    if isinstance(value, list):
        return [unwrapped(entry) for entry in value]
    blob = bare_base64(value) if isinstance(value, str) else None
    return value if blob is None else blob.data


def fits(rows: Sequence[Mapping[str, object]]) -> bool:
    """Whether media are objects, a message has ms-swift's roles for tools, or its own columns are there."""
    roles = {str(turn.get("role")) for turn in turns_of(rows)}
    columns = [row.get(kind.column) for row in rows for kind in MediaKind]
    wrapped = any(
        isinstance(entry, Mapping | bytes) for column in columns if isinstance(column, list) for entry in column
    )
    marked = any(row.get(name) is not None for row in rows for name in MARKS)
    return bool(roles) and (wrapped or marked or bool(roles & {"tool_call", "tool_response"}))
