"""Video headers, by the trainer's own library (PyAV)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from validators.probes.facts import Health, MediaFacts

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

MAX_COUNTED = 100_000  # frames counted at most in a file whose header does not say


def probe_video(path: Path) -> MediaFacts:
    """Size, frame count, duration and rate of the first video stream, or why PyAV cannot give them.

    Frames are counted by decoding only where the header cannot be trusted: the container states no count, or its
    data ends before the length that it states (llamafactory 0.9.5 decodes every file from end to end).
    """
    import av

    try:
        with av.open(str(path)) as container:
            facts = facts_of(container, path)
    except (av.FFmpegError, OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return MediaFacts(Health.UNREADABLE, str(reason))
    return facts


def facts_of(container: InputContainer, path: Path) -> MediaFacts:
    """The facts of an open container's first video stream."""
    stream = next(iter(container.streams.video), None)
    if stream is None:
        return MediaFacts(Health.NO_STREAM, "no video stream, only " + (", ".join(kinds(container)) or "nothing"))
    decoded = count_frames(container, stream) if stream.frames == 0 or is_cut(path) else None
    if decoded == 0:
        return MediaFacts(Health.UNREADABLE, "no frame can be decoded")
    duration = None
    if stream.duration is not None and stream.time_base is not None:
        duration = float(stream.duration * stream.time_base)
    return MediaFacts(
        Health.OK,
        width=stream.width,
        height=stream.height,
        frames=stream.frames,
        decoded=decoded,
        duration=duration,
        fps=float(stream.average_rate or 0),
    )


def kinds(container: InputContainer) -> list[str]:
    """The kinds of the container's streams."""
    return sorted({str(stream.type) for stream in container.streams})


def count_frames(container: InputContainer, stream: VideoStream) -> int:
    """Frames that decoding gives, up to MAX_COUNTED; a decoding error is the caller's."""
    count = 0
    for _ in container.decode(stream):
        count += 1
        if count >= MAX_COUNTED:
            break
    return count


def is_cut(path: Path) -> bool:
    """Whether an MP4's boxes or a RIFF's stated length run past the end of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF":
            return int.from_bytes(head[4:8], "little") + 8 > size
        if head[4:8] not in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
            return False
        at = 0
        while at + 8 <= size:
            file.seek(at)
            header = file.read(16)
            length = int.from_bytes(header[:4], "big")
            if length == 1:  # a 64-bit length follows the type
                length = int.from_bytes(header[8:16], "big")
            if length == 0:  # this box runs to the end
                return False
            if length < 8:
                return True
            at += length
        return at != size
