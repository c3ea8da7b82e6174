"""MiniCPM's own form: `image` as a path or as {"<image_00>": path, …}, and `conversations` of role and content.

Documented in the finetune/readme.md of OpenBMB/MiniCPM-V. A named tag stands for its picture at each place; pictures
come in the order of their use, and one without a tag goes in front of the first message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from curate.ingest import tables
from curate.ingest.fields import Fields
from curate.ingest.given import given
from curate.ingest.llava import has_turns
from curate.ingest.raw import Intake, Media, NoUse, RawItem, Turn
from curate.ingest.speech import read_messages, talk
from validators.model import MediaKind

TAG = re.compile(r"<image_\d+>")
KEYS = ("role", "content")
COLUMNS = ("image", "conversations", "system", "tools")


def read(intake: Intake) -> Iterator[RawItem]:
    """Stream the rows."""
    return tables.read(intake, item)


def item(fields: Fields) -> RawItem:
    """One row."""
    speech = read_messages(fields, fields.get("conversations"), KEYS, "conversations")
    image = fields.get("image")
    if not isinstance(image, Mapping):
        media = () if image is None else ((MediaKind.IMAGE, given(image, "image")),)
        return talk(fields, speech, media)
    image = {tag: value for tag, value in image.items() if value is not None}  # Arrow gives each row every key
    used = [tag for turn in speech.turns for tag in TAG.findall(turn.content)]
    if unknown := next((tag for tag in used if tag not in image), None):
        raise NoUse(f"{unknown} in the text, which image does not have")
    unused = [str(tag) for tag in image if tag not in used]
    named: Media = tuple((MediaKind.IMAGE, given(image[tag], f"image {tag}")) for tag in (*unused, *used))
    speech.turns = [Turn(turn.role, TAG.sub(MediaKind.IMAGE.tag, turn.content)) for turn in speech.turns]
    return talk(fields, speech, named)


def fits(rows: Sequence[Mapping[str, object]]) -> bool:
    """Whether rows have conversations of role and content."""
    return bool(rows) and all(has_turns(row, "conversations", KEYS) for row in rows)
