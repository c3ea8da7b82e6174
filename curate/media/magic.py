"""The ending that a medium's first bytes stand for."""

from __future__ import annotations

from curate.ingest.raw import kind_by_suffix

HEAD_BYTES = 64
# the signatures of the formats that raw.SUFFIXES names
STARTS = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tif"),
    (b"MM\x00*", "tif"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
    (b"\x00\x00\x01\xba", "mpg"),
    (b"\x00\x00\x01\xb3", "mpg"),
)
RIFF = {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}
MPEG_SYNC, TS_SYNC, TS_PACKET = 0xE0, 0x47, 188


def suffix_of(head: bytes, name: str) -> str | None:
    """The ending for these bytes, without its dot; that of the name where they do not tell, None where neither does."""
    own = name.rpartition(".")[2].lower() if kind_by_suffix(name) is not None else None
    return told(head, own) or own


def told(head: bytes, own: str | None) -> str | None:
    """The ending that the bytes tell; `own` decides between those that share a container."""
    if head[:4] == b"RIFF":
        return RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return own if own in ("mp4", "m4v", "mov", "m4a") else "m4a" if brand[:3] == b"M4A" else "mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return own if own in ("mkv", "webm") else "webm" if b"webm" in head else "mkv"
    if head[:4] == b"OggS":
        return own if own in ("ogg", "opus") else "opus" if b"OpusHead" in head else "ogg"
    found = next((ending for start, ending in STARTS if head.startswith(start)), None)
    if found is not None:
        return found
    if len(head) > 1 and head[0] == 0xFF and head[1] & MPEG_SYNC == MPEG_SYNC:
        return own if own in ("mp3", "aac") else "aac" if head[1] & 0xF6 == 0xF0 else "mp3"
    return None
