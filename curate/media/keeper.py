"""Where a build's media lie: left where they are, or copied, linked or stored by content under the target.

Media that are inside the data, or at an address, always go to the store: `media/ab/abcdef….jpg`, named by the sha256
of their bytes, the same bytes once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from curate.ingest.places import lies_there
from curate.ingest.raw import Blob, Given, NoUse, Remote, shown
from curate.media.fetcher import Fetcher
from curate.media.magic import HEAD_BYTES, suffix_of
from curate.work.memory import Memory, Remade
from curate.work.plain import plain
from curate.work.states import sha256_of, stamp_of
from curate.work.work import code
from validators.errors import UsageFault
from validators.model import MediaKind
from validators.probes.cache import ProbeCache

if TYPE_CHECKING:
    from curate.media.uniform import Uniform

FOLDER = "media"
ORIGINALS = "original"
INCOMING = ".incoming"
MAX_FILE_BYTES = 8 << 30


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


class Incoming:
    """Bytes on their way into the store: a file that is written where it is first needed."""

    def __init__(self, part: Path, write: Callable[[Path], object]) -> None:
        self.part = part
        self.write = write
        self.there = False

    def file(self) -> Path:
        """The file with the bytes."""
        if not self.there:
            self.write(self.part)
            self.there = True
        return self.part


class Keeper:
    """Puts media in their place, and knows the hash of each.

    media_root: where paths in rows start. root: where paths in the build start. staging: where what is put in place
    lies until it is delivered to the target. memory: what earlier builds put there.
    """

    def __init__(
        self,
        mode: Mode,
        media_root: Path,
        target: Path,
        staging: Path,
        fetcher: Fetcher | None = None,
        uniform: Uniform | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.mode = mode
        self.media_root = media_root
        self.target = target
        self.staging = staging
        self.fetcher = fetcher
        self.how = json.dumps(plain(uniform))
        self.change = uniform.change() if uniform is not None else None
        self.memory = memory if memory is not None else Memory()
        self.root = media_root if mode is Mode.REFERENCE else target
        self.probes = ProbeCache()
        self.named: dict[tuple[MediaKind, str], Kept] = {}
        self.lying: dict[str, Lying] = {}
        self.asked: Callable[[Path], object] = lambda file: None
        """Told each file under the media root before it is looked for."""
        self.placed: set[str] = set()
        """Paths of media that were given out since `watched`."""

    def watched(self, asked: Callable[[Path], object]) -> None:
        """Begin to note what is asked for, and what is given out."""
        self.asked = asked
        self.placed = set()

    def keep(self, kind: MediaKind, given: Given, source: object) -> Kept:
        """A medium's path in the build; NoUse says why the row cannot have it."""
        kept = self.kept(kind, given, source)
        self.placed.add(kept.path)
        return kept

    def kept(self, kind: MediaKind, given: Given, source: object) -> Kept:
        """A medium in its place."""
        if isinstance(given, str):
            path = self.inside(given)
            known = self.named.get((kind, path))
            if known is None:
                known = self.named[kind, path] = self.put(kind, path)
            return known
        if isinstance(given, Remote):
            known = self.named.get((kind, given.url))
            if known is None:
                known = self.named[kind, given.url] = self.fetched(kind, given.url, source)
            return known
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
        self.asked(file)
        if not lies_there(file):
            raise NoUse(f"{path} not found under the media root")
        size = file.stat().st_size
        if size == 0:
            raise NoUse(f"{path} is empty")
        if size > MAX_FILE_BYTES:
            raise NoUse(f"{path} is larger than {MAX_FILE_BYTES >> 30} GiB")
        return path

    def put(self, kind: MediaKind, path: str) -> Kept:
        """A file of the media root where the mode wants it."""
        file = self.media_root / path
        if self.mode is Mode.STORE:
            return self.stored(kind, file, path)
        if self.mode is Mode.REFERENCE:
            self.lying.setdefault(path, Lying(file))
            return Kept(path)
        place = f"{FOLDER}/{path}"
        copy = self.staging / place
        source = file.resolve()  # a link within the root becomes the file that it names
        made_of = f"{self.mode} {source} {stamp_of(source)}"
        if place not in self.lying and not self.memory.lies(copy, made_of):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.unlink(missing_ok=True)
            if self.mode is Mode.COPY or not linked(source, copy):
                part = self.part("copy")
                shutil.copyfile(source, part)
                part.rename(copy)
            self.memory.know_place(copy, made_of)
        self.lying.setdefault(place, Lying(copy))
        return Kept(place)

    def unpacked(self, kind: MediaKind, blob: Blob, prefix: str) -> Kept:
        """Bytes as a file of the store."""
        suffix = suffix_of(blob.data[:HEAD_BYTES], blob.name)
        if suffix is None:
            raise NoUse(f"bytes of no known {kind.value} format")
        incoming = Incoming(self.part(suffix), lambda part: part.write_bytes(blob.data))
        return self.settled(
            kind, incoming, hashlib.sha256(blob.data).hexdigest(), suffix, prefix, f"the {kind.value} inside"
        )

    def fetched(self, kind: MediaKind, url: str, source: object) -> Kept:
        """What is at an address in the store."""
        if self.fetcher is None:
            raise NoUse(f"{shown(url)} is fetched only where the recipe says fetch: true")
        prefix = self.prefix(source)
        found = self.fetcher.take(url)
        with found.file as data:
            suffix = suffix_of(data.read(HEAD_BYTES), found.name)
            if suffix is None:
                raise NoUse(f"{shown(url)} is of no known format")
            data.seek(0)
            digest = hashlib.file_digest(data, "sha256").hexdigest()  # type: ignore[arg-type]
            incoming = Incoming(self.part(suffix), partial(written, data))
            return self.settled(kind, incoming, digest, suffix, prefix, shown(url))

    def stored(self, kind: MediaKind, file: Path, name: str) -> Kept:
        """A file of the media root in the store."""
        with file.open("rb") as source:
            suffix = suffix_of(source.read(HEAD_BYTES), name)
        if suffix is None:
            raise NoUse(f"{name} is of no known format")
        incoming = Incoming(self.part(suffix), partial(copied, file))
        digest = self.memory.sha256(file)
        if digest is None:
            stamp = stamp_of(file)
            digest = sha256_of(incoming.file())
            self.memory.know_sha256(file, stamp, digest)
        return self.settled(kind, incoming, digest, suffix, "", name)

    def settled(self, kind: MediaKind, incoming: Incoming, digest: str, suffix: str, prefix: str, name: str) -> Kept:
        """Give a stored file its name by content; where it is made uniform, to the copy, while the original is kept."""
        done = self.remade(kind, incoming, digest)
        if done is None or done.sha256 is None:
            place = self.store(digest, suffix)
            self.settle(self.staging / place, digest, incoming.file)
            self.lie(prefix, place, digest)
            return Kept(prefix + place, f"{name}: {done.words}" if done is not None else "")
        original = self.staging / FOLDER / ORIGINALS / digest[:2] / f"{digest}.{suffix}"
        self.settle(original, digest, incoming.file)
        place = self.store(done.sha256, done.suffix)
        self.lie(prefix, place, done.sha256)
        self.lying[prefix + place].originals.add(original)
        return Kept(prefix + place, f"{name}: {done.words}")

    def remade(self, kind: MediaKind, incoming: Incoming, digest: str) -> Remade | None:
        """What making a medium uniform came to, None where there was nothing to do; the copy lies in the store."""
        if self.change is None:
            return None
        key = f"{kind} {digest} {self.how} {code()}"
        known = self.memory.remade(key)
        if known is None or (known.sha256 is not None and not self.holds(known.sha256, known.suffix)):
            source = incoming.file()
            changed = self.change(kind, source, source.parent)
            known = Remade(None, "", changed.words if changed is not None else "")
            if changed is not None and changed.copy is not None:
                known = self.shelved(changed.copy, changed.words)
            self.memory.know_remade(key, known)
        return known if known.words else None

    def make(self, path: str, what: str, suffix: str, make: Make) -> str:
        """The path of what is made of a kept medium; the medium itself stays as its original.

        what: a name for it, under which it is made once. Raises what `make` raises. Not for media: reference, where
        nothing lies in the build.
        """
        source = self.lying[path]
        key = f"{what} {self.digest(path)['sha256']} {suffix} {code()}"
        known = self.memory.remade(key)
        if known is None or known.sha256 is None or not self.holds(known.sha256, suffix):
            part = self.part(suffix)
            make(source.file, part)
            known = self.shelved(part, what)
            self.memory.know_remade(key, known)
        assert known.sha256 is not None
        place = self.store(known.sha256, suffix)
        self.lie("", place, known.sha256)
        self.lying[place].originals |= {source.file, *source.originals}
        self.placed.add(place)
        return place

    def shelved(self, made: Path, words: str) -> Remade:
        """Put a file that was made into the store."""
        digest, suffix = sha256_of(made), made.suffix.removeprefix(".")
        self.settle(self.staging / self.store(digest, suffix), digest, lambda: made)
        return Remade(digest, suffix, words)

    def store(self, digest: str, suffix: str) -> str:
        """The place of bytes in the store."""
        return f"{FOLDER}/{digest[:2]}/{digest}.{suffix}"

    def holds(self, digest: str, suffix: str) -> bool:
        """Whether the store has these bytes."""
        return self.memory.lies(self.staging / self.store(digest, suffix), digest)

    def settle(self, final: Path, digest: str, bring: Callable[[], Path]) -> None:
        """Move the file with these bytes to its place, unless it is there."""
        if self.memory.lies(final, digest):
            return
        part = bring()
        final.parent.mkdir(parents=True, exist_ok=True)
        part.replace(final)
        self.memory.know_place(final, digest)

    def lie(self, prefix: str, place: str, digest: str) -> None:
        """Note a file of the store under its path in the build."""
        if prefix + place not in self.lying:
            final = self.staging / place
            self.lying[prefix + place] = Lying(final, {"sha256": digest, "bytes": final.stat().st_size})

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
            lying.digest = {"sha256": self.memory.hash_of(lying.file), "bytes": lying.file.stat().st_size}
        return lying.digest

    def deliver(self, used: Iterable[str], folder: Path) -> None:
        """Put the files of the store that a build uses into its folder, and let go of those that no part of it had."""
        shutil.rmtree(self.staging / INCOMING, ignore_errors=True)
        for path in used:
            for file in (self.lying[path].file, *self.lying[path].originals):
                if not file.is_relative_to(self.staging):
                    continue
                place = folder / file.relative_to(self.staging)
                place.parent.mkdir(parents=True, exist_ok=True)
                if not place.exists() and not linked(file, place):
                    file.replace(place)  # a disk without hard links holds it once all the same
        known = {file for lying in self.lying.values() for file in (lying.file, *lying.originals)}
        store = self.staging / FOLDER
        for item in sorted(store.rglob("*"), reverse=True) if store.is_dir() else ():
            if item.is_dir():
                if not any(item.iterdir()):
                    item.rmdir()
            elif item not in known:
                item.unlink()


def below(folder: Path, root: Path) -> str:
    """What leads from a root to a folder in it, empty or ending with a slash."""
    path = folder.relative_to(root).as_posix()
    return "" if path == "." else f"{path}/"


def written(source: BinaryIO, part: Path) -> None:
    """Write an open file's bytes to another."""
    source.seek(0)
    with part.open("wb") as copy:
        shutil.copyfileobj(source, copy)


def copied(source: Path, part: Path) -> None:
    """Copy a file's bytes."""
    shutil.copyfile(source, part)


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
