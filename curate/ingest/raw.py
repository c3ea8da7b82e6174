"""What every reader gives: a raw row with its place, and a reason where the row is no use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from validators.model import MediaKind

SUFFIXES: Mapping[MediaKind, frozenset[str]] = {
    MediaKind.IMAGE: frozenset(["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"]),
    MediaKind.VIDEO: frozenset(["mp4", "avi", "mov", "mkv", "webm", "ts", "m4v", "mpg", "mpeg"]),
    MediaKind.AUDIO: frozenset(["mp3", "wav", "flac", "ogg", "opus", "m4a", "aac"]),
}
# the names that raw formats give to roles, and ours
ROLES: Mapping[str, str] = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "system": "system",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message in canonical form."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class RawItem:
    """A raw row: media as (kind, path as written), and either turns or a bare caption; or a problem."""

    source: Path
    row: int
    media: tuple[tuple[MediaKind, str], ...] = ()
    turns: tuple[Turn, ...] = ()
    caption: str | None = None
    problem: str = ""


def kind_by_suffix(path: str) -> MediaKind | None:
    """The modality that a file name's ending stands for."""
    suffix = PurePosixPath(path).suffix.lstrip(".").lower()
    return next((kind for kind, suffixes in SUFFIXES.items() if suffix in suffixes), None)


def media_of(value: object) -> tuple[tuple[MediaKind, str], ...] | str:
    """A path or a list of paths with their modalities, or what is wrong with it."""
    paths: Sequence[object] = value if isinstance(value, list) else [value]
    found = []
    for path in paths:
        if not isinstance(path, str) or not path:
            return f"media path is {path!r}"
        kind = kind_by_suffix(path)
        if kind is None:
            return f"{path!r} does not end like an image, a video or a sound"
        found.append((kind, path))
    return tuple(found)


def turns_of(value: object, role_key: str, content_key: str) -> tuple[Turn, ...] | str:
    """A list of messages in canonical form, or what is wrong with it."""
    if not isinstance(value, list) or not value:
        return "no list of messages"
    turns = []
    for number, message in enumerate(value):
        if not isinstance(message, Mapping):
            return f"message {number} is no object"
        role, content = message.get(role_key), message.get(content_key)
        if not isinstance(role, str) or role not in ROLES:
            return f"message {number} has the role {role!r}"
        if not isinstance(content, str) or not content.strip():
            return f"message {number} has no text"
        turns.append(Turn(ROLES[role], content))
    return tuple(turns)
