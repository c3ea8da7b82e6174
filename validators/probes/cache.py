"""Each media file is looked at once a run, however many rows name it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from validators.model import MediaKind
from validators.probes.audio import probe_audio
from validators.probes.facts import Health, MediaFacts
from validators.probes.image import probe_image
from validators.probes.video import probe_video

PROBES: Mapping[MediaKind, Callable[[Path], MediaFacts]] = {
    MediaKind.IMAGE: probe_image,
    MediaKind.VIDEO: probe_video,
    MediaKind.AUDIO: probe_audio,
}


class ProbeCache:
    """Facts by resolved path and kind, valid while size and mtime stay the same."""

    def __init__(self) -> None:
        self._facts: dict[tuple[MediaKind, str, int, int], MediaFacts] = {}

    def facts(self, kind: MediaKind, path: str, media_dir: Path) -> MediaFacts:
        """Facts of the file that the trainer would open for this entry (converter.py: `_find_medias`).

        That is the path under media_dir where such a file is, else the path as written, from the working folder.
        """
        found = locate(path, media_dir)
        if found is None:
            return MediaFacts(Health.MISSING, str(media_dir / path))
        stat = found.stat()
        key = (kind, str(found), stat.st_size, stat.st_mtime_ns)
        known = self._facts.get(key)
        if known is None:
            known = MediaFacts(Health.UNREADABLE, "the file is empty") if stat.st_size == 0 else PROBES[kind](found)
            self._facts[key] = known
        return known


def locate(path: str, media_dir: Path) -> Path | None:
    """The regular file that the trainer would open, None where there is none; nothing else is ever opened."""
    try:
        for candidate in (media_dir / path, Path(path)):
            if candidate.is_file():
                return candidate
    except (ValueError, OSError):  # a NUL or an endless name: no file can be called that
        return None
    return None


def is_outside(path: str, media_dir: Path) -> bool:
    """Whether the path, once its links and .. are followed, leaves media_dir."""
    try:
        resolved = os.path.realpath(media_dir / path)
    except (ValueError, OSError):
        return True
    root = os.path.realpath(media_dir)
    return resolved != root and not resolved.startswith(root.rstrip(os.sep) + os.sep)
