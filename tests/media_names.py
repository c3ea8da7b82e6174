"""Names that media have in the wild, and that trip whoever takes a name for an address, a pattern or ASCII."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

from tests.scaffold import make_clip, make_tone
from validators.model import MediaKind

SUFFIXES = {MediaKind.IMAGE: ".png", MediaKind.VIDEO: ".mp4", MediaKind.AUDIO: ".wav"}
LONGEST = 255 - 4
"""Bytes that a file system leaves before the suffix."""
NAMES = (
    "视频", "видео", unicodedata.normalize("NFD", "éè"), "😀", "a b", " a", "a ", "100%", "%d", "%03d", "a#b", "a?b",
    '"q"', "'q'", "a\\b", "-a", "--help", "file:a", "file:%41", "http:", "http:a", "https:a", "a:b", "C:a", ":a",
    "concat:a|b",
    "data:a", "subfile,,start,0,end,0,,:a", "a\nb", "a\tb", "~a", "$HOME", "*", "[a]", "{a}", "a;b", "a&b", "<b>",
    "\x7f", "\u202e", "a" * LONGEST, "视" * (LONGEST // 3),
)  # fmt: skip
BEYOND_UNICODE = ("\udce9\udcff",)
"""Bytes of a name that are not UTF-8, as Python and JSON hold them."""


def make_sources(folder: Path) -> dict[MediaKind, Path]:
    """A picture, a clip and a sound."""
    from PIL import Image

    files = {kind: folder / f"source{suffix}" for kind, suffix in SUFFIXES.items()}
    Image.new("RGB", (64, 48), (9, 99, 199)).save(files[MediaKind.IMAGE])
    make_clip(files[MediaKind.VIDEO], 20)
    make_tone(files[MediaKind.AUDIO], 0.5)
    return files


def spread(source: Path, folder: Path, names: tuple[str, ...] = NAMES) -> Iterator[str]:
    """The source under each name, and in a folder of each name: paths from `folder`."""
    for name in names:
        for path in (name + source.suffix, f"{name}/of folder{source.suffix}"):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(source.read_bytes())
            yield path
