"""COCO captions: one object with `images` and `annotations`; each caption is a row.

The file is walked twice and never held: first for the images' names by id, then for the captions in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from curate.ingest import tables
from curate.ingest.fields import Fields
from curate.ingest.given import by_kind, short
from curate.ingest.json_object import ObjectReader
from curate.ingest.raw import Intake, NoUse, RawItem
from validators.errors import UsageFault
from validators.model import MediaKind


def read(intake: Intake) -> Iterator[RawItem]:
    """A row for each caption."""
    path = intake.path
    names: dict[int, str] = {}
    left: dict[str, None] = {}
    for key, value in ObjectReader.of(path).walk():
        if key == "images" and isinstance(value, Mapping):
            number, name = value.get("id"), value.get("file_name")
            if isinstance(number, int) and isinstance(name, str):
                names[number] = name
            left |= dict.fromkeys(f"images[].{field}" for field in value if field not in ("id", "file_name"))
        elif key not in ("images", "annotations"):
            left[key] = None
    if not names:
        raise UsageFault(path, "no images with id and file_name", "COCO's captions")

    def item(fields: Fields) -> RawItem:
        number = fields.get("image_id")
        name = names.get(number) if isinstance(number, int) else None
        if name is None:
            raise NoUse(f"image_id {short(number)} is not among the images")
        if "caption" not in fields:
            raise NoUse("an annotation without a caption")
        caption = fields.text("caption")
        if caption is None:
            raise NoUse("empty caption")
        fields.leave(*left)
        return fields.item(by_kind(name, MediaKind.IMAGE, "file_name"), caption=caption)

    yield from tables.shaped(path, ObjectReader.of(path).items("annotations"), item, intake.options)
