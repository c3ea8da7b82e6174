"""A medium as raw formats write it: a path, an address, base64, bytes, or an object around one of these."""

from __future__ import annotations

import base64
import binascii
import reprlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from curate.ingest.raw import Blob, Given, Media, NoUse, Remote, kind_by_suffix, shown
from validators.model import MediaKind

MAX_BLOB_BYTES = 256 << 20
"""The largest medium inside the data: it is held in memory for a moment."""
PLAIN_NAME = 255
REMOTE = ("http://", "https://")
# what other libraries put around a medium: `datasets` bytes and path, transformers' chat templates the rest
WRAPPERS = ("path", "url", "base64")


def given(value: object, where: str) -> Given:
    """The medium that a value stands for; NoUse where it is none."""
    match value:
        case str() if value:
            return from_text(value, where)
        case bytes() if value:
            return blob(value, "", where)
        case Mapping():
            return from_object(value, where)
    raise NoUse(f"{where} is {short(value)}")


def from_text(text: str, where: str) -> Given:
    """A path as written, an address, or the bytes of a data: address (RFC 2397)."""
    if text.startswith("data:"):
        head, _, body = text.partition(",")
        if not head.endswith(";base64"):
            raise NoUse(f"{where} is a data: address without base64")
        return blob(decoded(body, where), ending(head[5:].split(";")[0]), where)
    if text.lower().startswith(REMOTE):
        return Remote(text)
    if text.startswith("file:"):
        return unquote(urlsplit(text).path)
    if "://" in text:
        raise NoUse(f"{where} is at {text.partition('://')[0]}://, which is not read")
    return text


def from_object(value: Mapping[str, object], where: str) -> Given:
    """`{"bytes": …, "path": …}` as `datasets` stores media, or an object with a path, an address or base64."""
    data, path = value.get("bytes"), value.get("path")
    name = path if isinstance(path, str) else ""
    if isinstance(data, bytes) and data:
        return blob(data, name, where)
    if isinstance(data, str) and data:
        return blob(decoded(data, where), name, where)
    if "array" in value:
        raise NoUse(f"{where} is decoded sound; its file is needed")
    for key in WRAPPERS:
        inner = value.get(key)
        if isinstance(inner, str) and inner:
            return blob(decoded(inner, where), "", where) if key == "base64" else from_text(inner, where)
    raise NoUse(f"{where} holds neither bytes nor a path")


def bare_base64(text: str) -> Blob | None:
    """The bytes of a text that is base64 and no path; None where it is not."""
    if len(text) <= PLAIN_NAME:
        return None
    try:
        return blob(decoded(text, ""), "", "")
    except NoUse:
        return None


def decoded(text: str, where: str) -> bytes:
    """Base64 to bytes."""
    if len(text) > MAX_BLOB_BYTES * 4 // 3 + 4:
        raise NoUse(f"{where} is larger than {MAX_BLOB_BYTES >> 20} MiB")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoUse(f"{where} is no base64") from error


def blob(data: bytes, name: str, where: str) -> Blob:
    """Bytes of a bearable size."""
    if not data:
        raise NoUse(f"{where} is empty")
    if len(data) > MAX_BLOB_BYTES:
        raise NoUse(f"{where} is larger than {MAX_BLOB_BYTES >> 20} MiB")
    return Blob(data, name)


def ending(mime: str) -> str:
    """A name with the ending that a media type stands for."""
    import mimetypes

    suffix = mimetypes.guess_extension(mime) or ""
    return f"medium{suffix}" if suffix else ""


def by_kind(value: object, kind: MediaKind, where: str) -> Media:
    """A medium or a list of them, all of one modality; null is none."""
    if value is None:
        return ()
    entries = value if isinstance(value, list) else [value]
    several = isinstance(value, list)
    return tuple(
        (kind, given(entry, f"{where}[{number}]" if several else where)) for number, entry in enumerate(entries)
    )


def by_suffix(value: object) -> Media:
    """A path or a list of paths, whose endings tell their modalities."""
    found = []
    for path in value if isinstance(value, list) else [value]:
        if not isinstance(path, str) or not path:
            raise NoUse(f"media path is {short(path)}")
        kind = kind_by_suffix(urlsplit(path).path if path.lower().startswith(REMOTE) else path)
        if kind is None:
            name = shown(path) if path.lower().startswith(REMOTE) else path
            raise NoUse(f"{name!r} does not end like an image, a video or a sound")
        found.append((kind, given(path, "media path")))
    return tuple(found)


def beneath(folder: str, medium: Given) -> Given:
    """A path that a file in `folder` names, from where the folder's own path starts."""
    if not isinstance(medium, str) or PurePosixPath(medium).is_absolute():
        return medium
    return (PurePosixPath(folder) / medium).as_posix()


def short(value: object) -> str:
    """A value for people, however large it is."""
    return reprlib.repr(value)
