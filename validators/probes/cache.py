"""Each media file is looked at once a run, however many rows name it."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG

from validators.model import MediaKind
from validators.probes.address import is_fetched
from validators.probes.apart import look_apart
from validators.probes.audio import probe_audio
from validators.probes.facts import Health, MediaFacts
from validators.probes.image import probe_image
from validators.probes.opening import Elsewhere, is_dangerous
from validators.probes.placeholder import placeholder
from validators.probes.video import probe_video
from validators.probes.whole_audio import examine_audio
from validators.probes.whole_image import examine_image
from validators.probes.whole_video import examine_video

PROBES: Mapping[MediaKind, Callable[[Path], MediaFacts]] = {
    MediaKind.IMAGE: probe_image,
    MediaKind.VIDEO: probe_video,
    MediaKind.AUDIO: probe_audio,
}
EXAMINERS: Mapping[MediaKind, Callable[[Path, MediaFacts], MediaFacts]] = {
    MediaKind.IMAGE: examine_image,
    MediaKind.VIDEO: examine_video,
    MediaKind.AUDIO: examine_audio,
}
"""What decoding a healthy file from end to end adds to its facts, or corrects in them."""


PROTOCOL = re.compile(r"[A-Za-z0-9+.\-]*:")
"""libavformat/avio.c: URL_SCHEME_CHARS."""


class ProbeCache:
    """Facts by file and kind, valid while size and mtime stay the same, and the real paths of folders.

    whole: decode the files from end to end.
    """

    def __init__(self, whole: bool = False) -> None:
        self.whole = whole
        self._facts: dict[tuple[MediaKind, str, int, int], MediaFacts] = {}
        self._real = lru_cache(maxsize=1 << 16)(os.path.realpath)

    def facts(self, kind: MediaKind, path: str, media_dir: Path) -> MediaFacts:
        """Facts of the file that the trainer would open for this entry (converter.py: `_find_medias`).

        That is the path under media_dir where such a file is, else the path as written, from the working folder.
        """
        located = locate(file_of(path, kind, media_dir), media_dir)
        if located is None:
            if is_fetched(path, kind):
                return MediaFacts(Health.REMOTE, "an address")
            return MediaFacts(Health.MISSING, str(media_dir / path))
        found, status = located
        key = (kind, found, status.st_size, status.st_mtime_ns)
        known = self._facts.get(key)
        if known is None:
            empty = status.st_size == 0
            known = MediaFacts(Health.UNREADABLE, "the file is empty") if empty else self.look(kind, Path(found))
            self._facts[key] = known
        return known

    def look(self, kind: MediaKind, path: Path) -> MediaFacts:
        """The facts of a file as deep as this cache reads."""
        if kind is not MediaKind.IMAGE and is_dangerous(path):
            return look_apart(kind, path, self.whole)
        return look_here(kind, path, self.whole)

    def prepare(self, entries: Iterable[tuple[MediaKind, str]], media_dir: Path) -> None:
        """Look at many files at once, on all cores: decoders work outside the interpreter's lock."""
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what a thread puts back when it is done is seen by the others
                for _ in pool.map(lambda entry: self.facts(entry[0], entry[1], media_dir), dict.fromkeys(entries)):
                    pass
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the rest

    def facts_inside(self, kind: MediaKind, data: bytes) -> MediaFacts:
        """Facts of a medium whose bytes are in the data; readers want a file, so it becomes one for a moment."""
        if not data:
            return MediaFacts(Health.UNREADABLE, "no bytes")
        with tempfile.NamedTemporaryFile(prefix="curate-") as file:
            file.write(data)
            file.flush()
            return self.look(kind, Path(file.name))

    def is_outside(self, path: str, media_dir: Path) -> bool:
        """Whether the path, once its links and .. are followed, leaves media_dir."""
        full = os.path.join(media_dir, path)  # noqa: PTH118 - once a row: a Path would cost more than the answer
        folder, name = os.path.split(full)
        try:
            if name in ("", ".", "..") or os.path.islink(full):  # noqa: PTH114
                resolved = os.path.realpath(full)
            else:
                resolved = f"{self._real(folder)}{os.sep}{name}"
        except (ValueError, OSError):
            return True
        root = self._real(str(media_dir))
        return resolved != root and not resolved.startswith(root.rstrip(os.sep) + os.sep)


def look_here(kind: MediaKind, path: Path, whole: bool) -> MediaFacts:
    """The facts of a file, by decoders in this process."""
    facts = PROBES[kind](path)
    if facts.health is Health.UNREADABLE and (text := placeholder(path)):
        return MediaFacts(Health.PLACEHOLDER, text)
    if not whole or facts.health is not Health.OK:
        return facts
    try:
        return EXAMINERS[kind](path, facts)
    except Elsewhere as reason:
        return MediaFacts(Health.PLAYLIST, str(reason))


def file_of(path: str, kind: MediaKind, media_dir: Path) -> str:
    """The path as its reader takes it, "" where that takes it for no path.

    A file under media_dir is opened by its joined path, whatever it is called (converter.py: `_find_medias`). Any other
    path goes as it is to Pillow, or to FFmpeg behind PyAV and torchcodec, which takes what stands before a first colon
    for a protocol (libavformat/avio.c: url_find_protocol) and follows `file:` from the working folder.
    """
    if kind is MediaKind.IMAGE or (found := PROTOCOL.match(path)) is None:
        return path
    try:
        if os.path.isfile(os.path.join(media_dir, path)):  # noqa: PTH113, PTH118 - see is_outside
            return path
        return os.path.abspath(path[found.end() :]) if found[0] == "file:" else ""  # noqa: PTH100
    except ValueError:  # a NUL, or what the file system's encoding cannot spell
        return ""


def locate(path: str, media_dir: Path) -> tuple[str, os.stat_result] | None:
    """The regular file that the trainer would open, None where there is none; nothing else is ever opened."""
    for candidate in (os.path.join(media_dir, path), path):  # noqa: PTH118 - see is_outside
        try:
            status = os.stat(candidate)  # noqa: PTH116
        except (ValueError, OSError):  # nothing there, or a NUL or an endless name: no file can be called that
            continue
        if S_ISREG(status.st_mode):
            return candidate, status
    return None


def is_outside(path: str, media_dir: Path) -> bool:
    """Whether one path leaves media_dir; for many, a ProbeCache remembers the folders."""
    return ProbeCache().is_outside(path, media_dir)
