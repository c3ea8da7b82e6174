"""Rows of columns: media, and a caption, a question with its answer, or messages.

`file_name` is a path or a list of paths whose endings tell the modality; `image`, `videos` and so on name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from curate.ingest.fields import Fields, column_of
from curate.ingest.given import by_suffix
from curate.ingest.raw import Media, NoUse, RawItem, Turn
from curate.ingest.speech import columns_of_media, read_messages, talk, tools_text
from validators.model import MediaKind, Role

CAPTIONS = ("caption", "text")
MEDIA = ("file_name", *(name for kind in MediaKind for name in (kind.value, kind.column)))
TEXTS = (*CAPTIONS, "answer", "messages")
COLUMNS = (*MEDIA, *TEXTS, "question", "system", "tools")


def item(fields: Fields) -> RawItem:
    """One row whose media are in its columns."""
    return with_media(fields, media_of(fields))


def media_of(fields: Fields) -> Media:
    """The media that the columns name."""
    named = by_suffix(fields.get("file_name")) if "file_name" in fields else ()
    return named + columns_of_media(fields)


def with_media(fields: Fields, media: Media) -> RawItem:
    """One row whose media are known: messages before an answer before a caption."""
    if "messages" in fields:
        return talk(fields, read_messages(fields, fields.get("messages"), ("role", "content"), "messages"), media)
    if "answer" in fields:
        question, answer = fields.text("question"), fields.text("answer")
        if question is None or answer is None:
            raise NoUse("a question or an answer without text")
        return said(fields, media, (Turn(Role.USER, question), Turn(Role.ASSISTANT, answer)))
    name = next((name for name in CAPTIONS if name in fields), None)
    caption = fields.text(name) if name else None
    if caption is None:
        written = name or any(fields.named(name) in fields.value for name in CAPTIONS)
        raise NoUse("empty caption" if written else "neither messages nor a caption")
    if not media:
        raise NoUse("a caption without a medium")
    return fields.item(media, caption=caption)


def said(fields: Fields, media: Media, turns: tuple[Turn, ...]) -> RawItem:
    """A row of turns with the row's system prompt in front."""
    system = fields.verbatim("system")
    lead = (Turn(Role.SYSTEM, system),) if system is not None else ()
    return fields.item(media, (*lead, *turns), tools=tools_text(fields.get("tools")))


def missing(names: Iterable[str], columns: Mapping[str, str]) -> list[str]:
    """What a table with these columns lacks to be read in this way."""
    there = set(names)

    def has(fields: Iterable[str]) -> bool:
        read = filter(None, (column_of(name, columns) for name in fields))
        return any(name in there or name.partition(".")[0] in there for name in read)

    return [name for name, fields in (("file_name", MEDIA), ("caption", TEXTS)) if not has(fields)]
