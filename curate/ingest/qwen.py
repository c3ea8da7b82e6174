"""Qwen's content lists: `messages` with parts such as {"type": "image", "image": path} and {"type": "text", …}.

The form of qwen-vl-utils and of transformers' chat templates; sizes and frame rates in a part have no place here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from curate.ingest import tables
from curate.ingest.fields import Fields
from curate.ingest.openai import parts_of, turns_of
from curate.ingest.raw import Intake, NoUse, RawItem
from curate.ingest.speech import columns_of_media, read_messages, talk
from validators.model import MediaKind

NAMES = ("messages", "conversation", "conversations")
COLUMNS = (*(kind.column for kind in MediaKind), "messages", "system", "tools")


def read(intake: Intake) -> Iterator[RawItem]:
    """Stream the rows."""
    return tables.read(intake, item)


def item(fields: Fields) -> RawItem:
    """One row; a part without a path is a place for the next medium in the columns."""
    column = next((name for name in NAMES if name in fields), None)
    if column is None:
        raise NoUse("no list of messages")
    speech = read_messages(fields, fields.get(column), ("role", "content"), column)
    return talk(fields, speech, columns_of_media(fields))


def fits(rows: Sequence[Mapping[str, object]]) -> bool:
    """Whether a part has a modality for its type, or names one by its key alone."""
    return any(
        part.get("type") in list(MediaKind) or ("type" not in part and any(kind in part for kind in MediaKind))
        for part in parts_of(list(turns_of(rows)))
    )
