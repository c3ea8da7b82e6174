"""The media of a part, as a file beside it: what a later build needs to know of them."""

from __future__ import annotations

import json
from pathlib import Path

from curate.media.keeper import Keeper, Lying
from curate.work.states import Watch


def write_media(file: Path, keeper: Keeper, watch: Watch) -> None:
    """The media that a part gave out, where they lie, and what is known of them."""
    with file.open("w", encoding="utf-8") as out:
        for path in sorted(keeper.placed):
            lying = keeper.lying[path]
            inside = lying.file.is_relative_to(keeper.staging)
            if inside:
                for each in (lying.file, *lying.originals):
                    watch.keep(each)
            value = {
                "path": path,
                "file": lying.file.relative_to(keeper.staging).as_posix() if inside else None,
                "digest": lying.digest,
                "originals": sorted(each.relative_to(keeper.staging).as_posix() for each in lying.originals),
            }
            out.write(json.dumps(value) + "\n")


def recall_media(file: Path, keeper: Keeper) -> None:
    """The media of a part that was kept."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            value = json.loads(line)
            path = value["path"]
            place = keeper.staging / value["file"] if value["file"] else keeper.media_root / path
            lying = keeper.lying.setdefault(path, Lying(place, value["digest"] if value["file"] else None))
            lying.originals.update(keeper.staging / original for original in value["originals"])
