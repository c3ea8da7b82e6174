"""OpenAI chat: `messages` with content as text or as parts, `tool_calls` and tool messages, `tools`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from curate.ingest import tables
from curate.ingest.fields import Fields
from curate.ingest.raw import ROLES, Intake, RawItem
from curate.ingest.speech import TEXT_PARTS, columns_of_media, read_messages, talk
from validators.model import MediaKind, Role

# developer is the newer name of system; function is the older one of tool, not of a call
OPENAI_ROLES: Mapping[str, str] = dict(ROLES) | {"developer": Role.SYSTEM, "function": Role.OBSERVATION}
COLUMNS = (*(kind.column for kind in MediaKind), "messages", "system", "tools")
TYPES = frozenset([*TEXT_PARTS, "image_url", "video_url", "audio_url", "input_image", "input_audio"])


def read(intake: Intake) -> Iterator[RawItem]:
    """Stream the rows."""
    return tables.read(intake, item)


def item(fields: Fields) -> RawItem:
    """One row; media are in the parts, or as LLaMA-Factory has them in columns."""
    speech = read_messages(fields, fields.get("messages"), ("role", "content"), "messages", OPENAI_ROLES)
    return talk(fields, speech, columns_of_media(fields))


def fits(rows: Sequence[Mapping[str, object]]) -> bool:
    """Whether a message has tool calls, a tool's or a developer's role, or parts of OpenAI's types."""
    turns = list(turns_of(rows))
    types = {str(part.get("type")) for part in parts_of(turns)}
    marks = any(turn.get("tool_calls") or turn.get("role") in ("tool", "developer") for turn in turns)
    return types <= TYPES and (marks or bool(types))


def turns_of(rows: Sequence[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    """Every message of the rows."""
    for row in rows:
        turns = row.get("messages")
        yield from (turn for turn in (turns if isinstance(turns, list) else ()) if isinstance(turn, Mapping))


def parts_of(turns: Sequence[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    """Every part of the messages' content."""
    for turn in turns:
        content = turn.get("content")
        yield from (part for part in (content if isinstance(content, list) else ()) if isinstance(part, Mapping))
