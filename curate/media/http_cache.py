"""What was fetched, on disk: bodies by the sha256 of their bytes, and a small file for each address.

Addresses stand in it as their hashes only, since they may hold keys. Every file gets its name by one rename, so that a
process that dies leaves nothing but a draft, and two processes do not disturb each other; bytes that are not what their
name says are not used. When it grows past its size, what was not used for the longest time is removed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast
from urllib.parse import urldefrag

from curate.media.fetch import Reply
from validators.errors import UsageFault

if TYPE_CHECKING:
    from io import BufferedRandom

FOLDER, SIZE = "MMCURATE_CACHE", "MMCURATE_CACHE_GIB"
"""Variables of the environment: the cache's folder, and its size."""
USUAL_GIB = 20.0
BODIES, ADDRESSES, DRAFTS = "bodies", "addresses", "drafts"
DRAFT_SECONDS = 3600.0
LEAVE = 0.9  # of the size: so that the next few media do not start the removal again
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of an address. ending: of its medium, with a dot, "" where it does not tell. fresh_until: seconds
    of time.time() up to which nobody needs to be asked."""

    sha256: str
    bytes: int
    ending: str
    etag: str
    last_modified: str
    fresh_until: float


def cache_folder() -> Path:
    """`$MMCURATE_CACHE/http`, else `$XDG_CACHE_HOME/mmcurate/http`, else `~/.cache/mmcurate/http`."""
    if given := os.environ.get(FOLDER):
        return Path(given).absolute() / "http"
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "mmcurate" / "http"


def cache_size() -> int:
    """`$MMCURATE_CACHE_GIB`, or the usual size, in bytes."""
    given = os.environ.get(SIZE, "")
    try:
        size = float(given) if given else USUAL_GIB
    except ValueError:
        size = math.nan
    if not 0 <= size < math.inf:
        raise UsageFault(SIZE, repr(given), "a number of GiB, 0 or more")
    return int(size * (1 << 30))


class HttpCache:
    """A folder of bodies; all of it may be used by several threads and processes at once."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        try:
            for name in (BODIES, ADDRESSES, DRAFTS):
                (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self.draft()
        except OSError as error:
            cure = f"set {FOLDER} to a folder for what is fetched"
            raise UsageFault(folder, f"cannot be written: {error.strerror}", "a folder", cure) from error
        draft.close()
        self.drop(draft)

    def find(self, url: str) -> tuple[Entry, BinaryIO] | None:
        """What is stored for an address, and its bytes, opened; None where they are not there or not whole."""
        entry = read_entry(self.address(url))
        if entry is None:
            return None
        path = self.body(entry.sha256)
        try:
            file = path.open("rb")
        except OSError:
            return None
        if os.fstat(file.fileno()).st_size != entry.bytes or digest_of(file) != entry.sha256:
            file.close()
            return None
        with suppress(OSError):
            os.utime(path)  # the time of its last use
        return entry, file

    def draft(self) -> BinaryIO:
        """A file to write to. It is to be given to `keep` or to `drop`."""
        return cast("BinaryIO", tempfile.NamedTemporaryFile(dir=self.folder / DRAFTS, delete=False))

    def keep(self, url: str, draft: BinaryIO, reply: Reply) -> None:
        """Give the draft of what came its name by content, and note the address."""
        draft.flush()
        sha256 = digest_of(draft)
        size = os.fstat(draft.fileno()).st_size
        moved(Path(draft.name), self.body(sha256))
        until = time.time() + reply.seconds
        self.note(url, Entry(sha256, size, reply.ending, reply.etag, reply.last_modified, until))

    def renew(self, url: str, entry: Entry, reply: Reply) -> None:
        """Note that what is stored still holds."""
        etag, changed = reply.etag or entry.etag, reply.last_modified or entry.last_modified
        until = time.time() + reply.seconds
        self.note(url, replace(entry, etag=etag, last_modified=changed, fresh_until=until))

    def note(self, url: str, entry: Entry) -> None:
        """Write down what is known of an address."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self.folder / DRAFTS, delete=False) as file:
            json.dump(asdict(entry), file)
        moved(Path(file.name), self.address(url))

    def drop(self, draft: IO[bytes]) -> None:
        """Remove a draft's name; its bytes can be read as long as it is open."""
        with suppress(OSError):
            Path(draft.name).unlink()

    def address(self, url: str) -> Path:
        """Where the entry of an address is, under its hash."""
        name = hashlib.sha256(urldefrag(url).url.encode("utf-8", "surrogatepass")).hexdigest()
        return self.folder / ADDRESSES / name[:2] / f"{name}.json"

    def body(self, sha256: str) -> Path:
        """Where the bytes are."""
        return self.folder / BODIES / sha256[:2] / sha256

    def sweep(self) -> None:
        """Remove what was not used for the longest time, down to below the size, and drafts of the dead."""
        for path, stat in files_in(self.folder / DRAFTS):
            if time.time() - stat.st_mtime > DRAFT_SECONDS:
                path.unlink(missing_ok=True)
        found = sorted((stat.st_mtime_ns, stat.st_size, path) for path, stat in files_in(self.folder / BODIES))
        total = sum(size for _, size, _ in found)
        if total <= self.size:
            return
        for _, size, path in found:
            path.unlink(missing_ok=True)
            total -= size
            if total <= self.size * LEAVE:
                break
        for path, _ in files_in(self.folder / ADDRESSES):
            entry = read_entry(path)
            if entry is None or not self.body(entry.sha256).exists():
                path.unlink(missing_ok=True)


def read_entry(path: Path) -> Entry | None:
    """An entry; None where there is none, or not one of ours."""
    try:
        entry = Entry(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    texts = (entry.sha256, entry.ending, entry.etag, entry.last_modified)
    if not all(isinstance(text, str) and text.isprintable() for text in texts) or not HASH.fullmatch(entry.sha256):
        return None
    return entry if isinstance(entry.bytes, int) and isinstance(entry.fresh_until, int | float) else None


def files_in(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The files below a folder; those that another process removes meanwhile are passed over."""
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root) / name
            with suppress(FileNotFoundError):
                yield path, path.stat()


def digest_of(file: BinaryIO) -> str:
    """The sha256 of an open file, which is left at its start."""
    file.seek(0)
    sha256 = hashlib.file_digest(cast("BufferedRandom", file), "sha256").hexdigest()
    file.seek(0)
    return sha256


def moved(draft: Path, final: Path) -> None:
    """Give a file its name."""
    final.parent.mkdir(mode=0o700, exist_ok=True)
    draft.replace(final)
