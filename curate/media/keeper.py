"""Where a build's media lie: left where they are, or copied, linked or stored by content under the target.

Media that are inside the data, or at an address, always go to the store: `media/ab/abcdef….jpg`, named by the sha256
of their bytes, the same bytes once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path, PurePosixPath

from curate.ingest.raw import Blob, Given, NoUse, Remote
from curate.media.fetch import fetch
from curate.media.magic import HEAD_BYTES, suffix_of
from validators.errors import UsageFault
from validators.model import MediaKind
from validators.probes.cache import ProbeCache

FOLDER = "media"
ORIGINALS = "original"
INCOMING = ".incoming"
MAX_FILE_BYTES = 8 << 30
CHUNK = 1 << 20


class Mode(StrEnum):
    """What becomes of media that rows name by path."""

    REFERENCE = "reference"
    COPY = "copy"
    HARDLINK = "hardlink"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class Kept:
    """A medium in its place: its path from the build's media root, and what was changed about it."""

    path: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """A uniform copy and what was done; or no copy, and why there is none."""

    copy: Path | None
    words: str


Make = Callable[[Path, Path], object]
"""Writes what is made of the first file to the second."""
Change = Callable[[MediaKind, Path, Path], Changed | None]
"""Makes a uniform copy of a file in a folder; None where the file is fine as it is."""


@dataclass(slots=True)
class Lying:
    """A file of the build: where it lies while the build is made, its hash once known, the originals it came from."""

    file: Path
    digest: Mapping[str, object] | None = None
    originals: set[Path] = field(default_factory=set)


class Keeper:
    """Puts media in their place, and knows the hash of each.

    media_root: where paths in rows start. root: where paths in the build start. staging: what becomes `target`.
    """

    def __init__(
        self,
        mode: Mode,
        media_root: Path,
        target: Path,
        staging: Path,
        may_fetch: bool = False,
        change: Change | None = None,
    ) -> None:
        self.mode = mode
        self.media_root = media_root
        self.target = target
        self.staging = staging
        self.may_fetch = may_fetch
        self.change = change
        self.root = media_root if mode is Mode.REFERENCE else target
        self.probes = ProbeCache()
        self.named: dict[tuple[MediaKind, str], Kept] = {}
        self.lying: dict[str, Lying] = {}
        self.places: dict[str, str] = {}
        self.made: dict[tuple[str, str], str] = {}

    def keep(self, kind: MediaKind, given: Given, source: object) -> Kept:
        """A medium's path in the build; NoUse says why the row cannot have it."""
        if isinstance(given, str):
            path = self.inside(given)
            known = self.named.get((kind, path))
            if known is None:
                known = self.named[kind, path] = self.placed(kind, path)
            return known
        if isinstance(given, Remote):
            if not self.may_fetch:
                raise NoUse(f"{given.url} is fetched only where the recipe says fetch: true")
            prefix = self.prefix(source)
            return self.unpacked(kind, Blob(*fetch(given.url)), prefix)
        return self.unpacked(kind, given, self.prefix(source))

    def inside(self, path: str) -> str:
        """A row's path, from the media root; NoUse where it leads out of it or to nothing that can be used."""
        if "\0" in path or not is_unicode(path):
            raise NoUse(f"media path {path!r} holds characters that no path can")
        if self.probes.is_outside(path, self.media_root):
            raise NoUse(f"{path} leads outside the media root")
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts:
            path = (self.media_root / path).resolve().relative_to(self.media_root.resolve()).as_posix()
        file = self.media_root / path
        if not file.is_file():
            raise NoUse(f"{path} not found under the media root")
        size = file.stat().st_size
        if size == 0:
            raise NoUse(f"{path} is empty")
        if size > MAX_FILE_BYTES:
            raise NoUse(f"{path} is larger than {MAX_FILE_BYTES >> 30} GiB")
        return path

    def placed(self, kind: MediaKind, path: str) -> Kept:
        """A file of the media root where the mode wants it."""
        file = self.media_root / path
        if self.mode is Mode.STORE:
            return self.stored(kind, file, path)
        if self.mode is Mode.REFERENCE:
            self.lying.setdefault(path, Lying(file))
            return Kept(path)
        place = f"{FOLDER}/{path}"
        copy = self.staging / place
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists():
            source = file.resolve()  # a link within the root becomes the file that it names
            if self.mode is Mode.COPY or not linked(source, copy):
                shutil.copyfile(source, copy)
        self.lying.setdefault(place, Lying(copy))
        return Kept(place)

    def unpacked(self, kind: MediaKind, blob: Blob, prefix: str) -> Kept:
        """Bytes as a file of the store."""
        suffix = suffix_of(blob.data[:HEAD_BYTES], blob.name)
        if suffix is None:
            raise NoUse(f"bytes of no known {kind.value} format")
        part = self.part(suffix)
        part.write_bytes(blob.data)
        return self.settled(kind, part, hashlib.sha256(blob.data).hexdigest(), prefix, f"the {kind.value} inside")

    def stored(self, kind: MediaKind, file: Path, name: str) -> Kept:
        """A file of the media root in the store."""
        with file.open("rb") as source:
            suffix = suffix_of(source.read(HEAD_BYTES), name)
            if suffix is None:
                raise NoUse(f"{name} is of no known format")
            source.seek(0)
            part = self.part(suffix)
            digest = hashlib.sha256()
            with part.open("wb") as copy:
                for chunk in iter(partial(source.read, CHUNK), b""):
                    digest.update(chunk)
                    copy.write(chunk)
        return self.settled(kind, part, digest.hexdigest(), "", name)

    def settled(self, kind: MediaKind, part: Path, digest: str, prefix: str, name: str) -> Kept:
        """Give a stored file its name by content; where it is made uniform, to the copy, while the original is kept."""
        changed = self.change(kind, part, part.parent) if self.change is not None else None
        if changed is None or changed.copy is None:
            words = f"{name}: {changed.words}" if changed is not None else ""
            return Kept(prefix + self.rename(part, digest, prefix), words)
        original = self.staging / FOLDER / ORIGINALS / digest[:2] / f"{digest}{part.suffix}"
        move(part, original)
        with changed.copy.open("rb") as file:
            place = prefix + self.rename(changed.copy, hashlib.file_digest(file, "sha256").hexdigest(), prefix)
        self.lying[place].originals.add(original)
        return Kept(place, f"{name}: {changed.words}")

    def make(self, path: str, what: str, suffix: str, make: Make) -> str:
        """The path of what is made of a kept medium; the medium itself stays as its original.

        what: a name for it, under which it is made once a build. Raises what `make` raises. Not for media: reference,
        where nothing lies in the build.
        """
        if (path, what) not in self.made:
            source = self.lying[path]
            part = self.part(suffix)
            make(source.file, part)
            with part.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            place = self.rename(part, digest, "")
            self.lying[place].originals |= {source.file, *source.originals}
            self.made[path, what] = place
        return self.made[path, what]

    def rename(self, part: Path, digest: str, prefix: str) -> str:
        """Move a file to its name by content."""
        # the first name that bytes come under decides their ending
        place = self.places.setdefault(digest, f"{FOLDER}/{digest[:2]}/{digest}{part.suffix}")
        final = self.staging / place
        move(part, final)
        if prefix + place not in self.lying:
            self.lying[prefix + place] = Lying(final, {"sha256": digest, "bytes": final.stat().st_size})
        return place

    def part(self, suffix: str) -> Path:
        """A file to write to, on the store's own disk."""
        folder = self.staging / INCOMING
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"medium.{suffix}"

    def prefix(self, source: object) -> str:
        """What leads from the build's media root to the target's own files."""
        if self.mode is not Mode.REFERENCE:
            return ""
        root = self.media_root.resolve()
        if not self.target.is_relative_to(root):
            raise UsageFault(
                source,
                "media inside the data have to be written to the target, and media: reference only names files",
                f"media: store, copy or hardlink, or a target under the media root {root}",
            )
        return below(self.target, root)

    def digest(self, path: str) -> Mapping[str, object]:
        """A kept medium's sha256 and length; each file is read for it once."""
        lying = self.lying[path]
        if lying.digest is None:
            with lying.file.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            lying.digest = {"sha256": sha256, "bytes": lying.file.stat().st_size}
        return lying.digest

    def sweep(self, used: Iterable[str]) -> None:
        """Remove what was put in place for rows that were dropped later."""
        shutil.rmtree(self.staging / INCOMING, ignore_errors=True)
        kept = {file for path in used for file in (self.lying[path].file, *self.lying[path].originals)}
        store = self.staging / FOLDER
        for item in sorted(store.rglob("*"), reverse=True) if store.is_dir() else ():
            if item.is_dir():
                if not any(item.iterdir()):
                    item.rmdir()
            elif item not in kept:
                item.unlink()


def below(folder: Path, root: Path) -> str:
    """What leads from a root to a folder in it, empty or ending with a slash."""
    path = folder.relative_to(root).as_posix()
    return "" if path == "." else f"{path}/"


def move(part: Path, final: Path) -> None:
    """Put a file in its place, unless such bytes are there already."""
    if final.exists():
        part.unlink()
    else:
        final.parent.mkdir(parents=True, exist_ok=True)
        part.rename(final)


def linked(source: Path, copy: Path) -> bool:
    """Make a hard link; False where the two are on different disks, or the disk has none."""
    try:
        os.link(source, copy)
    except OSError:
        return False
    return True


def is_unicode(text: str) -> bool:
    """Whether a text has a UTF-8 form."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
