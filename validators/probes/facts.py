"""What is known of a media file, as one table."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

import polars as pl


class Health(StrEnum):
    """Whether the trainer can use the file."""

    OK = "ok"
    MISSING = "missing"
    OUTSIDE = "outside"
    UNREADABLE = "unreadable"
    NO_STREAM = "no-stream"
    EMBEDDED = "embedded"
    """Bytes in the row or a list of frames: no file to probe."""


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Header facts of one file; what does not apply to its kind is 0 or null.

    width, height: pixels as the trainer sees them (no EXIF turn). frames: the container's own count, 0 where it has
    none. decoded: frames that decoding really gives, only where it was counted. duration: seconds, None where the
    stream has none. rate: audio samples a second. samples: audio samples a channel.
    """

    health: Health
    detail: str = ""
    width: int = 0
    height: int = 0
    frames: int = 0
    decoded: int | None = None
    duration: float | None = None
    fps: float = 0.0
    rate: int = 0
    samples: int = 0


def facts_schema() -> pl.Schema:
    """The columns that MediaFacts becomes."""
    types: dict[str, pl.DataType] = {
        "health": pl.String(),
        "detail": pl.String(),
        "width": pl.Int64(),
        "height": pl.Int64(),
        "frames": pl.Int64(),
        "decoded": pl.Int64(),
        "duration": pl.Float64(),
        "fps": pl.Float64(),
        "rate": pl.Int64(),
        "samples": pl.Int64(),
    }
    return pl.Schema({item.name: types[item.name] for item in fields(MediaFacts)})
