"""What every reader is given, and what it gives: a raw row with its place, and a reason where the row is no use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from validators.model import MediaKind, Role

SUFFIXES: Mapping[MediaKind, frozenset[str]] = {
    MediaKind.IMAGE: frozenset(["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"]),
    MediaKind.VIDEO: frozenset(["mp4", "avi", "mov", "mkv", "webm", "ts", "m4v", "mpg", "mpeg"]),
    MediaKind.AUDIO: frozenset(["mp3", "wav", "flac", "ogg", "opus", "m4a", "aac"]),
}
# the names that raw formats give to roles, and ours
ROLES: Mapping[str, str] = {
    "user": Role.USER,
    "human": Role.USER,
    "assistant": Role.ASSISTANT,
    "gpt": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "function": Role.FUNCTION,
    "function_call": Role.FUNCTION,
    "tool_call": Role.FUNCTION,
    "observation": Role.OBSERVATION,
    "tool": Role.OBSERVATION,
    "tool_response": Role.OBSERVATION,
}


class NoUse(Exception):
    """Why a row cannot be used; the message goes to the ledger."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message in canonical form."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Blob:
    """A medium whose bytes are in the data; the name may be empty, or only tell the ending."""

    data: bytes = field(repr=False)
    name: str = ""


@dataclass(frozen=True, slots=True)
class Remote:
    """A medium at an http address."""

    url: str


Given = str | Blob | Remote
"""A medium as a row gives it: a path from the media root, its bytes, or its address."""
Media = tuple[tuple[MediaKind, Given], ...]


@dataclass(frozen=True, slots=True)
class RawItem:
    """A raw row: its media, and either turns or a bare caption; or a problem.

    tools: JSON text. meta: extra fields to keep, JSON text. left: names of what the row says and this does not.
    """

    source: Path
    row: int
    media: Media = ()
    turns: tuple[Turn, ...] = ()
    caption: str | None = None
    problem: str = ""
    tools: str | None = None
    split: str | None = None
    meta: str | None = None
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """How one source is to be read, where its format leaves a choice.

    columns: our field -> the source's column. keep: fields for `meta`, None for all. split: None for `train`, or for
    the only one there is. config, revision: of a Hub dataset. rows_at: the key under which a JSON object holds its
    rows. cues: rows or transcript, for subtitles. media_dir: where the source's paths start, from the media root.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    keep: frozenset[str] | None = frozenset()
    split: str | None = None
    config: str | None = None
    revision: str | None = None
    rows_at: str | None = None
    cues: str = "transcript"
    media_dir: str = ""


@dataclass(frozen=True, slots=True)
class Intake:
    """What a reader is given: a source, the folder that media paths run from, and the choices."""

    path: Path
    media_root: Path
    options: Options = Options()


def shown(url: str) -> str:
    """An address for people: without a password, and without the query, in which signatures and keys stand."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}{'?…' if parts.query else ''}"


def kind_by_suffix(path: str) -> MediaKind | None:
    """The modality that a file name's ending stands for."""
    suffix = PurePosixPath(path).suffix.lstrip(".").lower()
    return next((kind for kind, suffixes in SUFFIXES.items() if suffix in suffixes), None)
