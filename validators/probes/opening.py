"""Opening videos and sounds by PyAV without leaving the one file.

FFmpeg takes playlists (HLS, concat), and names with a pattern of numbers, for media, and opens what they name. The
trainer lets it; a check does not.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from av.container import InputContainer

NOTHING = {"protocol_whitelist": "none"}  # a demuxer that opens files by itself may use no protocol
NO_OPTIONS: Mapping[str, str] = {}
CONCAT = b"ffconcat version"  # libavformat/concatdec.c opens its files past the caller's hands
PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*")
ITEMS = (b"iloc", b"iinf", b"iprp")  # ISO/IEC 23008-12: the boxes by which AVIF and HEIC hold pictures
EDGE = 1 << 16


class Elsewhere(Exception):
    """The file is a playlist: FFmpeg would open other files."""


def ascii_name(path: Path) -> str:
    """The path as FFmpeg may be told it: each character beyond ASCII as `_`.

    PyAV 16 (container/core.pyx: pyav_io_open_gil) hands a URL back as ASCII, and raises UnicodeDecodeError else.
    What FFmpeg takes from a name, its protocol, its suffix and a pattern of numbers, is ASCII and stays.
    """
    name = str(path)
    return name if name.isascii() else "".join(mark if mark.isascii() else "_" for mark in name)


@dataclass(slots=True)
class Guard:
    """Gives FFmpeg its one file, which it knows by `name`, and an empty one for whatever else it asks for."""

    path: Path
    name: str
    stack: ExitStack
    refused: list[str] = field(default_factory=list)

    def open(self, url: str, flags: int, options: Mapping[str, str]) -> BinaryIO:
        """PyAV's io_open. Once something was refused, the file itself is empty too: live playlists are read again
        and again."""
        if url != self.name:
            self.refused.append(url)
        if self.refused:
            return io.BytesIO()
        return self.stack.enter_context(self.path.open("rb", buffering=0))


@contextmanager
def opened(path: Path, options: Mapping[str, str] = NO_OPTIONS) -> Iterator[InputContainer]:
    """The container in this file, by its name as the trainer opens it; raises Elsewhere, or what PyAV raises.

    options: more of the container's own. Not the streams', which PyAV's `options` would be, too: FFmpeg reads past them
    where a stream shows up late.
    """
    import av

    with ExitStack() as stack:
        guard = Guard(path, ascii_name(path), stack)
        with path.open("rb", buffering=0) as file:
            see_no_list(file)
        try:
            with av.open(guard.name, io_open=guard.open, container_options={**options, **NOTHING}) as container:
                yield container
        except UnicodeDecodeError as error:
            if error.encoding == "ascii":  # of a URL: the file's own name is ASCII here, so it is another's
                raise Elsewhere("FFmpeg would open another file") from error
            raise
        finally:
            if guard.refused:
                raise Elsewhere(f"FFmpeg would open {Path(guard.refused[0]).name}")


@contextmanager
def opened_file(file: BinaryIO) -> Iterator[InputContainer]:
    """The container in an open file, whose name FFmpeg is not told; raises Elsewhere, or what PyAV raises."""
    import av

    see_no_list(file)
    with av.open(file, "r", container_options=NOTHING) as container:
        yield container


def see_no_list(file: BinaryIO) -> None:
    """Raise Elsewhere for a list of files; the position is moved to the start."""
    file.seek(0)
    head = file.read(len(CONCAT))
    file.seek(0)
    if head == CONCAT:
        raise Elsewhere("a list of files for FFmpeg (ffconcat)")


def endangers(file: BinaryIO) -> bool:
    """Whether the open file, whose position it moves, holds a still picture: damaged ones may end the process.

    Files of FFmpeg 8's libavformat/mov.c with damaged items do so already when they are opened. The items are looked
    for in the first and the last 64 KiB.
    """
    file.seek(0)
    head = file.read(EDGE)
    if head.startswith(PICTURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return True
    file.seek(max(0, file.seek(0, os.SEEK_END) - EDGE))
    tail = file.read(EDGE)
    return any(box in part for part in (head, tail) for box in ITEMS)


def is_dangerous(path: Path) -> bool:
    """Whether FFmpeg may end the process on this file."""
    try:
        with path.open("rb", buffering=0) as file:
            return endangers(file)
    except OSError:
        return False
