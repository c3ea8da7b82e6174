"""Video headers, by the trainer's own library (PyAV), and a decode only where the header raises doubt."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from validators.probes.facts import Alteration, Health, MediaFacts, Trait, as_traits
from validators.probes.mp4 import Track, is_mp4, video_tracks
from validators.probes.opening import Elsewhere, opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from av.container import InputContainer
    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_COUNTED = 100_000  # frames counted at most in a file whose header cannot be trusted
MAX_PIXELS = 1 << 36  # and pixels: 18 minutes of 1080p at 30 frames a second
BRIGHT = (16, 18)  # ISO/IEC 23091-2, TransferCharacteristics: PQ (SMPTE ST 2084) and HLG (ARIB STD-B67)
SQUARE = 0.02  # a ratio of sides that nobody sees
UNEVEN = 0.02  # of the duration: noted above this, rules have their own numbers


def probe_video(path: Path) -> MediaFacts:
    """Size, frame count, duration and rate of the first video stream, or why PyAV cannot give them.

    llamafactory 0.9.5 decodes every file from end to end. Here frames are counted by decoding only where the header
    cannot be trusted: it is no MP4 whose boxes are whole and whose tables say that each sample is a frame.
    """
    import av

    try:
        with path.open("rb", buffering=0) as file:
            tracks = video_tracks(file.fileno()) if is_mp4(file.fileno()) else {}
        with opened(path) as container:
            facts = facts_of(container, tracks)
    except Elsewhere as reason:
        return MediaFacts(Health.PLAYLIST, str(reason))
    except (av.FFmpegError, OSError, UnicodeDecodeError, ValueError) as error:
        return MediaFacts(Health.UNREADABLE, reason_of(error))
    return facts


def facts_of(container: InputContainer, tracks: dict[int, Track]) -> MediaFacts:
    """The facts of an open container's first video stream."""
    stream = next(iter(container.streams.video), None)
    if stream is None:
        return MediaFacts(Health.NO_STREAM, "no video stream, only " + (", ".join(kinds(container)) or "nothing"))
    if stream.codec_context is None:  # PyAV's typing does not know it: a codec that FFmpeg cannot decode
        return MediaFacts(Health.UNREADABLE, "a video codec without a decoder")
    duration = None
    if stream.duration is not None and stream.time_base is not None:
        duration = float(stream.duration * stream.time_base)
    track = tracks.get(stream.id)
    facts = MediaFacts(
        Health.OK,
        width=stream.width,
        height=stream.height,
        frames=stream.frames,
        duration=duration,
        fps=float(stream.average_rate or 0),
        altered=Alteration.ROTATED.value if track is not None and track.turned else "",
        traits=as_traits(stream_traits(container, stream, track)),
        form=container.format.name,
    )
    if stream.frames and track is not None and track.plain and stream.codec_context.pix_fmt is not None:
        return facts
    return counted(facts, container, stream)


def stream_traits(container: InputContainer, stream: VideoStream, track: Track | None) -> dict[Trait, float | None]:
    """What the header says of shape, colours, times and other streams."""
    found: dict[Trait, float | None] = {}
    shape = float(stream.sample_aspect_ratio or 1)
    if shape > 0 and abs(shape - 1) > SQUARE:
        found[Trait.ANAMORPHIC] = shape
    if stream.codec_context.color_trc in BRIGHT:
        found[Trait.HDR] = stream.codec_context.color_trc
    moving = sum(not is_cover(other) for other in container.streams.video)
    if moving > 1:
        found[Trait.STREAMS] = moving
    if track is not None and track.times is not None and (drift := drift_of(track.times)) is not None:
        found[Trait.DRIFT] = drift
    return found


def is_cover(stream: VideoStream) -> bool:
    """Whether the stream is a cover picture."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def drift_of(times: Sequence[float] | np.ndarray) -> float | None:
    """How far frames stand from where an even rate would put them, as a share of the whole; None where that is little.

    times: in the order of display, in any unit; None as well where two frames share one.
    """
    import numpy as np

    shown = np.asarray(times, dtype=np.float64)
    if len(shown) < 3 or not (np.diff(shown) > 0).all():
        return None
    places = (shown - shown[0]) / (shown[-1] - shown[0])
    drift = float(np.abs(places - np.linspace(0, 1, len(shown))).max())
    return drift if drift > UNEVEN else None


def counted(facts: MediaFacts, container: InputContainer, stream: VideoStream) -> MediaFacts:
    """The facts with what decoding tells; the header's stay beside the reason where decoding fails."""
    import av

    try:
        first, decoded = decode(container, stream)
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        return replace(facts, health=Health.BROKEN, detail=reason_of(error))
    if first is None:
        return replace(facts, health=Health.BROKEN, detail="no frame can be decoded")
    altered = Alteration.ROTATED.value if is_turned(first) else facts.altered
    return replace(facts, width=first.width, height=first.height, decoded=decoded, altered=altered)


def reason_of(error: Exception) -> str:
    """FFmpeg's words for an error, without the path. PyAV has an IndexError for packets of a stream that it did not see
    when it opened the file; it stops the trainer, too."""
    if isinstance(error, IndexError):
        return "packets of a stream that its header does not name"
    return str(getattr(error, "strerror", None) or error)


def kinds(container: InputContainer) -> list[str]:
    """The kinds of the container's streams. Not by `type`: PyAV 16 dies on that of a stream of an unknown kind."""
    streams = container.streams
    found = {"attachment": streams.attachments, "audio": streams.audio, "data": streams.data}
    found |= {"subtitle": streams.subtitles, "unknown": streams.other}
    return [kind for kind in found if found[kind]]


def decode(container: InputContainer, stream: VideoStream) -> tuple[VideoFrame | None, int | None]:
    """The first frame and the number of frames that the trainer's decoding gives.

    The count is bounded; None where the bound was met and the header states more.
    """
    first = None
    count = 0
    container.seek(0)  # as the trainer does: what lies before time 0 is lost
    for frame in container.decode(stream):
        if first is None:
            frame.to_image()  # type: ignore[no-untyped-call]  # some pixel formats have no way to RGB
            first = frame
        count += 1
        if count >= MAX_COUNTED or count * first.width * first.height > MAX_PIXELS:
            return first, None if stream.frames > count else count
    return first, count


def is_turned(frame: VideoFrame) -> bool:
    """Whether the frame's display matrix turns or mirrors it."""
    a, b, c, d = matrix_of(frame)
    return not (b == 0 and c == 0 and a > 0 and d > 0)


def matrix_of(frame: VideoFrame) -> tuple[int, int, int, int]:
    """The cells a, b, c, d of the frame's display matrix; those of no turn where it has none."""
    from av.sidedata.sidedata import Type

    entries = cast("Iterable[SideData]", frame.side_data)  # PyAV's typing takes it for a mapping
    matrix = next((data for data in entries if data.type is Type.DISPLAYMATRIX), None)
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    return a, b, c, d
