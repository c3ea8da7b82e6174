"""A frame of a video: a third of the way in, where there is usually something to see."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from validators.model import MediaKind
from validators.previews.image import MOST_PIXELS, SIDE, NoPreview, preview_image, thumbnail
from validators.probes.mp4 import is_mp4, video_tracks
from validators.probes.opening import endangers, opened_file
from validators.report.shown import Preview

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame

MOST_BYTES = 256 << 20  # of a file that decord opens: it reads its index at once
MOST_FRAMES = 300  # decoded after the seek
SECONDS = 3.0


def preview_video(file: BinaryIO) -> Preview:
    """A frame, by decord where it is installed and gives what the trainer reads, else by PyAV; raises NoPreview or
    PyAV's errors."""
    name = getattr(file, "name", None)
    if isinstance(name, str) and suits_decord(file.fileno()) and find_spec("decord") is not None:
        try:
            return by_decord(Path(name))
        except NoPreview:
            raise
        except Exception:  # decord raises its own kinds of errors; PyAV, which the trainer uses, has the last word
            file.seek(0)
    return by_pyav(file)


def suits_decord(handle: int) -> bool:
    """Whether the file is an MP4 that is whole, not too large, and not to be turned: decord would turn it, and stalls
    at the end of files that are cut off."""
    if os.fstat(handle).st_size > MOST_BYTES or not is_mp4(handle):
        return False
    tracks = video_tracks(handle).values()
    return any(track.plain for track in tracks) and not any(track.turned for track in tracks)


def by_decord(path: Path) -> Preview:
    """decord's frame, scaled while it is decoded."""
    import decord
    from PIL import Image

    reader = decord.VideoReader(str(path.resolve()), num_threads=1)
    height, width, _ = reader[0].shape
    if height * width > MOST_PIXELS:
        raise NoPreview(f"{width} × {height} pixels are too many to show")
    return thumbnail(Image.fromarray(reader[len(reader) // 3].asnumpy()), MediaKind.VIDEO)


def by_pyav(file: BinaryIO) -> Preview:
    """PyAV's frame, scaled before it becomes a picture; a still picture by Pillow, as PyAV may die of it."""
    still = endangers(file)
    file.seek(0)
    if still:
        return replace(preview_image(file), kind=MediaKind.VIDEO)
    with opened_file(file) as container:
        frame = frame_of(container)
    scale = min(1.0, SIDE / max(frame.width, frame.height))
    small = frame.reformat(max(1, round(frame.width * scale)), max(1, round(frame.height * scale)), "rgb24")
    return thumbnail(small.to_image(), MediaKind.VIDEO)  # type: ignore[no-untyped-call]


def frame_of(container: InputContainer) -> VideoFrame:
    """The first frame at or after a third of the length that the decoder reaches within bounds."""
    import av

    started = time.monotonic()
    stream = next(iter(container.streams.video), None)
    if stream is None:
        raise NoPreview("no video stream")
    if stream.width * stream.height > MOST_PIXELS:
        raise NoPreview(f"{stream.width} × {stream.height} pixels are too many to show")
    length = stream.duration
    if length is None and stream.time_base is not None:  # Matroska tells it for the whole file only
        length = int((container.duration or 0) / av.time_base / stream.time_base)
    wanted = (stream.start_time or 0) + (length or 0) // 3
    try:
        container.seek(wanted, stream=stream)
    except av.FFmpegError:
        container.seek(0)
    found = None
    for number, frame in enumerate(container.decode(stream)):
        found = frame
        late = number >= MOST_FRAMES or time.monotonic() - started > SECONDS
        if late or frame.pts is None or frame.pts >= wanted:
            break
    if found is None:
        raise NoPreview("no frame can be decoded")
    return found
