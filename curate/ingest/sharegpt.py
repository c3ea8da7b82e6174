"""LLaMA-Factory's sharegpt: `messages` or `conversations`, `images`, `videos`, `audios`, `system` and `tools`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from curate.ingest import tables
from curate.ingest.fields import Fields
from curate.ingest.llava import KEYS, has_turns
from curate.ingest.raw import Intake, NoUse, RawItem
from curate.ingest.speech import columns_of_media, read_messages, talk
from validators.model import MediaKind

CHAT = ("role", "content")
COLUMNS = (*(kind.column for kind in MediaKind), "messages", "conversations", "system", "tools")


def read(intake: Intake) -> Iterator[RawItem]:
    """Stream the rows."""
    return tables.read(intake, item)


def item(fields: Fields) -> RawItem:
    """One row, whichever pair of names its messages use."""
    column = next((name for name in ("messages", "conversations") if name in fields), None)
    if column is None:
        raise NoUse("no list of messages")
    media = columns_of_media(fields)
    value = fields.get(column)
    first = value[0] if isinstance(value, list) and value else None
    keys = KEYS if isinstance(first, Mapping) and "from" in first else CHAT
    return talk(fields, read_messages(fields, value, keys, column), media)


def fits(rows: Sequence[Mapping[str, object]]) -> bool:
    """Whether rows have messages of plain text, and media, if any, in columns of lists."""
    plain = all(
        any(has_turns(row, column, keys) and is_text(row[column], keys[1]) for column in ("messages", "conversations"))
        for row in rows
        for keys in [KEYS if "from" in first_turn(row) else CHAT]
    )
    lists = all(row.get(kind) is None for row in rows for kind in (*MediaKind, "file_name"))
    return plain and lists and not any(is_foreign(row) for row in rows)


def first_turn(row: Mapping[str, object]) -> Mapping[str, object]:
    """The first message, empty where there is none."""
    for column in ("messages", "conversations"):
        turns = row.get(column)
        if isinstance(turns, list) and turns and isinstance(turns[0], Mapping):
            return turns[0]
    return {}


def is_text(turns: object, key: str) -> bool:
    """Whether each message's content is text."""
    return isinstance(turns, list) and all(
        isinstance(turn, Mapping) and isinstance(turn.get(key), str) for turn in turns
    )


def is_foreign(row: Mapping[str, object]) -> bool:
    """Whether a row has marks of other forms: tool calls apart from the content, media as objects, grounding boxes."""
    turns = row.get("messages")
    calls = isinstance(turns, list) and any(isinstance(turn, Mapping) and is_call(turn) for turn in turns)
    columns = [row.get(kind.column) for kind in MediaKind]
    wrapped = any(
        isinstance(entry, Mapping | bytes) for column in columns if isinstance(column, list) for entry in column
    )
    return calls or wrapped or row.get("objects") is not None


def is_call(turn: Mapping[str, object]) -> bool:
    """Whether a message is a tool's call or response as OpenAI or ms-swift write them."""
    return bool(turn.get("tool_calls")) or turn.get("role") in ("tool", "tool_call", "tool_response", "developer")
