"""LLaVA's JSON, and ShareGPT4V's: `image` (or `video`, `audio`) and `conversations` of from and value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from curate.ingest import tables
from curate.ingest.fields import Fields
from curate.ingest.raw import Intake, RawItem
from curate.ingest.speech import columns_of_media, read_messages, talk
from validators.model import MediaKind

KEYS = ("from", "value")
COLUMNS = (*MediaKind, "conversations", "system", "tools")


def read(intake: Intake) -> Iterator[RawItem]:
    """Stream the rows; broken JSON raises SourceFault with its line."""
    return tables.read(intake, item)


def item(fields: Fields) -> RawItem:
    """One row; its modality is the key's, not the file name's."""
    media = columns_of_media(fields)
    return talk(fields, read_messages(fields, fields.get("conversations"), KEYS, "conversations"), media)


def fits(rows: Sequence[Mapping[str, object]]) -> bool:
    """Whether rows have conversations, and one of them a medium under its kind's name."""
    return all(has_turns(row, "conversations", KEYS) for row in rows) and any(
        row.get(kind) is not None for row in rows for kind in MediaKind
    )


def has_turns(row: Mapping[str, object], column: str, keys: tuple[str, str]) -> bool:
    """Whether a column holds messages with these keys."""
    turns = row.get(column)
    return isinstance(turns, list) and bool(turns) and all(isinstance(t, Mapping) and keys[0] in t for t in turns)
