"""Previews of the media of the rows that a report shows: each file once, within bounds of number and time."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from stat import S_ISREG
from typing import BinaryIO, cast

from validators.model import MediaKind
from validators.previews.audio import preview_audio
from validators.previews.image import NoPreview, preview_image
from validators.previews.video import preview_video
from validators.report.model import DatasetSummary
from validators.report.shown import Preview, ShownMedium, ShownRow

MOST_SECONDS = 120.0  # for all previews of a report
MAKERS: Mapping[MediaKind, Callable[[BinaryIO], Preview]] = {
    MediaKind.IMAGE: preview_image,
    MediaKind.VIDEO: preview_video,
    MediaKind.AUDIO: preview_audio,
}


@dataclass(slots=True)
class Maker:
    """Makes at most `most` previews, and remembers each file's."""

    most: int
    until: float
    made: dict[tuple[MediaKind, str, int, int] | tuple[MediaKind, bytes], ShownMedium] = field(default_factory=dict)
    count: int = 0

    def row(self, row: ShownRow) -> ShownRow:
        """The row with previews of its media."""
        return replace(row, media=tuple(map(self.medium, row.media)))

    def medium(self, medium: ShownMedium) -> ShownMedium:
        """The medium with its preview, or with the reason why it has none; without its bytes."""
        bare = replace(medium, data=None)
        if medium.file is None and medium.data is None:
            return bare
        try:
            file = io.BytesIO(medium.data) if medium.data is not None else open_regular(cast("str", medium.file))
        except OSError as error:
            return replace(bare, reason=error.strerror or "cannot be read")
        with file:
            key = (medium.kind, medium.data) if medium.data is not None else (medium.kind, *identity(file))
            known = self.made.get(key)
            if known is None:
                known = self.made[key] = self.make(bare, file)
        return replace(bare, preview=known.preview, reason=known.reason)

    def make(self, medium: ShownMedium, file: BinaryIO) -> ShownMedium:
        """Look into one file."""
        if self.count >= self.most:
            return replace(medium, reason=f"only {self.most} previews are made (--previews)")
        if time.monotonic() > self.until:
            return replace(medium, reason="making previews took too long")
        self.count += 1
        try:
            return replace(medium, preview=MAKERS[medium.kind](file))
        except NoPreview as error:
            return replace(medium, reason=str(error))
        except Exception as error:  # decoders raise what they like; a report goes on without the picture
            return replace(medium, reason=f"cannot be shown: {str(error) or type(error).__name__}"[:200])


def open_regular(path: str) -> BinaryIO:
    """A regular file to read; whatever else has come into its place meanwhile is not read and does not block."""
    unblocking = getattr(os, "O_NONBLOCK", 0)
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | unblocking))  # noqa: SIM115
    if not S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise FileNotFoundError(2, "no regular file", path)
    return file


def identity(file: BinaryIO) -> tuple[str, int, int]:
    """A file by what it is rather than by its name."""
    status = os.fstat(file.fileno())
    return f"{status.st_dev}:{status.st_ino}", status.st_size, status.st_mtime_ns


def with_previews(summaries: Sequence[DatasetSummary], most: int) -> list[DatasetSummary]:
    """The summaries with previews; the datasets take turns, so that each has some where the bound is met."""
    maker = Maker(most, time.monotonic() + MOST_SECONDS)
    shown = [list(summary.shown) for summary in summaries]
    for place in range(max(map(len, shown), default=0)):
        for rows in shown:
            rows[place : place + 1] = map(maker.row, rows[place : place + 1])
    return [replace(summary, shown=tuple(rows)) for summary, rows in zip(summaries, shown, strict=True)]
