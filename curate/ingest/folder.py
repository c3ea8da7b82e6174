"""A folder of media, each with a `.txt` caption or a `.json` of its fields of the same name beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from curate.ingest import captions
from curate.ingest.fields import Fields
from curate.ingest.places import from_root, lies_there, media_files, text_of
from curate.ingest.raw import Intake, NoUse, RawItem, kind_by_suffix

COLUMNS = (*captions.TEXTS, "question", "system", "tools")


def read(intake: Intake) -> Iterator[RawItem]:
    """The media below the folder in the order of their names; paths are given from the media root."""
    for row, file in enumerate(media_files(intake.path)):
        try:
            yield item(intake, row, file)
        except NoUse as reason:
            yield RawItem(intake.path, row, problem=str(reason))


def item(intake: Intake, row: int, file: Path) -> RawItem:
    """One medium and what stands beside it: the fields of a .json, and the caption of a .txt."""
    kind = kind_by_suffix(file.name)
    if kind is None:
        raise NoUse(f"{file.name} is no medium")
    media = ((kind, from_root(file, intake.media_root)),)
    told, caption = file.with_suffix(".json"), file.with_suffix(".txt")
    if not lies_there(told) and not lies_there(caption):
        raise NoUse(f"no caption {caption.name} beside {media[0][1]}")
    value = fields_of(told) if lies_there(told) else {}
    fields = Fields(intake.path, row, value, intake.options)
    if not lies_there(caption):
        return captions.with_media(fields, media)
    text = text_of(caption).strip()
    if not text:
        raise NoUse("empty caption")
    return fields.item(media, caption=text)


def fields_of(file: Path) -> Mapping[str, object]:
    """The object in a .json file."""
    try:
        value = json.loads(text_of(file))
    except (ValueError, RecursionError) as error:
        raise NoUse(f"{file.name} is no JSON") from error
    if not isinstance(value, Mapping):
        raise NoUse(f"{file.name} holds no object")
    return value
