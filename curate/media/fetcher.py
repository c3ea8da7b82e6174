"""Media of many addresses: some connections at a time, ahead of the rows that want them, politely, out of a cache.

What a host does not answer for is taken from the cache where it is there; otherwise each address is asked for anew,
with what the cache knows of it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import urlsplit
from weakref import WeakSet

from curate.ingest.raw import Blob, NoUse, RawItem, Remote, shown
from curate.media import fetch
from curate.media.fetch import Asked, DiskFault, Pinned, Unanswered
from curate.media.http_cache import FOLDER, Entry, HttpCache, cache_folder, cache_size
from validators.errors import UsageFault

CONNECTIONS = 32
PER_HOST = 8
AHEAD = 64
"""Addresses that are asked for ahead of the row at hand; as many files may be open."""
AHEAD_BYTES = 64 << 20
"""Of media inside the rows that are read ahead."""
ATTEMPTS = 4
FIRST_WAIT = 1.0
DEAD, REST = 8, 30.0
"""Attempts in a row, some at the same time, after which a silent host is left alone, and for how many seconds."""


@dataclass(slots=True)
class Host:
    """What is known of one host: the last attempts that it did not answer, until when it is left alone, and when it
    wishes to be asked again; both of time.monotonic()."""

    gate: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(PER_HOST))
    silences: int = 0
    left_until: float = 0.0
    not_before: float = 0.0

    def heard(self, silence: Unanswered | None) -> None:
        """Note what came of an attempt: nothing, a word of being busy, or an answer."""
        self.silences = self.silences + 1 if silence is not None and not silence.status else 0
        if self.silences >= DEAD:
            self.left_until = time.monotonic() + REST
        if silence is not None and silence.status and silence.wait is not None:
            self.not_before = max(self.not_before, time.monotonic() + silence.wait)


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of an address, open at their start, which the taker closes; and a name for their ending."""

    file: BinaryIO
    name: str


class Fetcher:
    """Fetches; each address is asked for once in its life, as long as its taker remembers what it got."""

    def __init__(self, cache: HttpCache) -> None:
        self.cache = cache
        self.pool = ThreadPoolExecutor(CONNECTIONS, "fetch")
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.hosts: dict[str, Host] = {}
        self.open: WeakSet[Pinned] = WeakSet()
        self.silent: Counter[str] = Counter()
        self.coming: dict[str, Future[Fetched]] = {}
        self.taken: set[str] = set()
        self.refused: dict[str, str] = {}

    def ahead(self, items: Iterable[RawItem]) -> Iterator[RawItem]:
        """The rows as they are, while the addresses of those that follow are asked for."""
        window: deque[tuple[RawItem, list[str]]] = deque()
        wanted: Counter[str] = Counter()
        held = 0
        for item in items:
            urls = [given.url for _, given in item.media if isinstance(given, Remote)]
            window.append((item, urls))
            wanted.update(urls)
            held += weight(item)
            for url in urls:
                if url not in self.taken and url not in self.refused and len(self.coming) < AHEAD:
                    self.start(url)
            while window and (len(window) > AHEAD or wanted.total() > AHEAD or held > AHEAD_BYTES):
                yield window[0][0]
                held -= weight(window[0][0])
                self.passed(window.popleft()[1], wanted)
        while window:
            yield window[0][0]
            self.passed(window.popleft()[1], wanted)

    def passed(self, urls: list[str], wanted: Counter[str]) -> None:
        """A row is done: what it did not take, and no other row ahead wants, is closed."""
        wanted.subtract(urls)
        for url in urls:
            if wanted[url] <= 0:
                del wanted[url]
                if (left := self.coming.pop(url, None)) is not None:
                    left.add_done_callback(close_unseen)

    def start(self, url: str) -> Future[Fetched]:
        """Ask for an address, unless that was done already."""
        if url not in self.coming:
            self.coming[url] = self.pool.submit(self.obtain, url)
        return self.coming[url]

    def take(self, url: str) -> Fetched:
        """What is at an address; NoUse says why it is of no use."""
        if url in self.refused:
            raise NoUse(self.refused[url])
        future = self.start(url)
        del self.coming[url]
        self.taken.add(url)
        try:
            return future.result()
        except NoUse as reason:
            self.refused[url] = str(reason)
            raise

    def obtain(self, url: str) -> Fetched:
        """Get an address: from the cache while that is fresh or the host is silent, else from its host."""
        try:
            urlsplit(url)
        except ValueError as error:
            raise NoUse(f"{shown(url)} is no address") from error
        found = self.cache.find(url)
        stored = None if found is None else Fetched(found[1], f"medium{found[0].ending}")
        if found is not None and stored is not None and found[0].fresh_until > time.time():
            return stored
        try:
            return self.asked_for(url, found)
        except Unanswered:
            if stored is None:
                raise
            with self.lock:
                self.silent[urlsplit(url).hostname or ""] += 1
            return stored
        except (DiskFault, OSError) as error:
            cure = f"free some space, or set {FOLDER} to a folder on another disk"
            raise UsageFault(self.cache.folder, f"cannot be written: {error}", "space", cure) from error
        except NoUse:
            if found is not None:
                found[1].close()
            raise

    def asked_for(self, url: str, found: tuple[Entry, BinaryIO] | None) -> Fetched:
        """The bytes by the word of their host, which are in the cache afterwards."""
        draft = self.cache.draft()
        try:
            reply = self.patiently(url, draft, found[0] if found is not None else None)
            if reply.fresh and found is not None:
                self.cache.renew(url, found[0], reply)
                draft.close()
                return Fetched(found[1], f"medium{found[0].ending}")
            if reply.keep:
                self.cache.keep(url, draft, reply)
        except BaseException:
            draft.close()
            raise
        finally:
            self.cache.drop(draft)
        if found is not None:
            found[1].close()
        draft.seek(0)
        return Fetched(draft, f"medium{reply.ending}")

    def patiently(self, url: str, draft: BinaryIO, entry: Entry | None) -> fetch.Reply:
        """Ask, and ask again after a while where the host is busy; a host that never answers is left alone."""
        host = self.host(url)
        with host.gate:
            deadline = time.monotonic() + fetch.WHOLE_SECONDS
            etag, changed = (entry.etag, entry.last_modified) if entry is not None else ("", "")
            asked = Asked(deadline, etag, changed, started=self.started)
            for attempt in range(1, ATTEMPTS + 1):
                if host.not_before > deadline:
                    raise Unanswered(f"{shown(url)}: its host is busy", again=False)
                self.stopping.wait(max(0.0, host.not_before - time.monotonic()))
                if self.stopping.is_set() or host.left_until > time.monotonic():
                    break
                draft.seek(0)
                draft.truncate()
                try:
                    reply = fetch.fetch(url, draft, asked, fetch.is_public)
                except Unanswered as silence:
                    host.heard(silence)
                    pause = FIRST_WAIT * 2 ** (attempt - 1) if silence.wait is None else silence.wait
                    if not silence.again or attempt == ATTEMPTS or time.monotonic() + pause > deadline:
                        raise
                    self.stopping.wait(pause)
                except NoUse:
                    host.heard(None)
                    raise
                else:
                    host.heard(None)
                    return reply
        raise Unanswered(f"{shown(url)}: its host does not answer", again=False)

    def host(self, url: str) -> Host:
        """What is known of an address's host."""
        with self.lock:
            return self.hosts.setdefault(urlsplit(url).netloc.rpartition("@")[2].lower(), Host())

    def started(self, connection: Pinned) -> None:
        """A connection that is to be hung up where the build ends."""
        with self.lock:
            self.open.add(connection)

    def told(self) -> str:
        """Words on media out of the cache whose hosts did not answer, since the last time; "" for none."""
        with self.lock:
            silent, self.silent = self.silent, Counter()
        hosts = [f"{host} ({count})" for host, count in sorted(silent.items())]
        return f"taken from the cache, as their hosts did not answer: {', '.join(hosts)}" if hosts else ""

    def close(self) -> None:
        """End all connections."""
        self.stopping.set()
        self.pool.shutdown(wait=False, cancel_futures=True)
        with self.lock:
            for connection in self.open:
                connection.hang_up()
        self.pool.shutdown()
        for future in self.coming.values():
            close_unseen(future)


@contextmanager
def fetching(wanted: bool) -> Iterator[Fetcher | None]:
    """A fetcher with the user's cache, or none; the cache is brought below its size at the end."""
    if not wanted:
        yield None
        return
    cache = HttpCache(cache_folder(), cache_size())
    fetcher = Fetcher(cache)
    try:
        yield fetcher
    finally:
        fetcher.close()
        with suppress(OSError):  # what cannot be removed now, the next build removes
            cache.sweep()


def weight(item: RawItem) -> int:
    """Bytes of the media inside a row."""
    return sum(len(given.data) for _, given in item.media if isinstance(given, Blob))


def close_unseen(future: Future[Fetched]) -> None:
    """Close what nobody takes."""
    if not future.cancelled() and future.exception() is None:
        future.result().file.close()
