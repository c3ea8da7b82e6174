"""A web server on 127.0.0.1 whose pages tests set, and which notes what it was asked."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What an address answers. statuses: given first, one a request, before the page itself. promised: the length that
    is stated, where it is not the body's. slow: seconds before the answer; trickle: between its bytes."""

    body: bytes = b""
    place: str = ""
    status: int = 200
    etag: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    retry_after: str = ""
    promised: int | None = None
    meet: threading.Barrier | None = None
    """Requests are answered in groups of its size."""
    held: threading.Event | None = None
    """The body is sent once this is set."""
    trickle: float = 0.0
    """Seconds between two bytes."""


HANGS = 120
"""Seconds after which a test that waits for another thread has failed."""


@dataclass
class Web:
    """The server's pages by path, and what it saw: each path with the status that it got, and open requests at most."""

    url: str = ""
    pages: dict[str, Page] = field(default_factory=dict)
    seen: list[tuple[str, int]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    busy: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    asked: threading.Event = field(default_factory=threading.Event)
    """Set by the first answer."""
    ended: int = 0
    """Answers that were sent to their end."""

    def statuses(self, path: str) -> list[int]:
        return [status for seen, status in self.seen if seen == path]

    @property
    def counts(self) -> Counter[int]:
        return Counter(status for _, status in self.seen)


@contextmanager
def running_web() -> Iterator[Web]:
    """Serve until the block ends."""
    web = Web()

    class Bound(Handler):
        state = web

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    web.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    state: Web

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        web, path = self.state, self.path.partition("?")[0]
        page = web.pages.get(path, Page(b"no", status=404))
        with web.lock:
            web.busy += 1
            web.most = max(web.most, web.busy)
            web.headers.append(dict(self.headers))
        if page.meet is not None:
            page.meet.wait(HANGS)
        with web.lock:
            web.busy -= 1
            status = page.statuses.pop(0) if page.statuses else page.status
        etag = f'"{hashlib.sha256(page.body).hexdigest()[:16]}"' if page.etag and status == 200 else ""
        if etag and self.headers.get("If-None-Match") == etag:
            status = 304
        web.seen.append((path, status))
        web.asked.set()
        body = page.body if status == 200 else b""
        self.send_response(status)
        for name, value in (("Location", page.place), ("ETag", etag), *page.headers.items()):
            if value:
                self.send_header(name, value)
        if page.retry_after and status != 200:
            self.send_header("Retry-After", page.retry_after)
        if not page.trickle and status != 304:
            self.send_header("Content-Length", str(len(body) if page.promised is None else page.promised))
        self.end_headers()
        if page.held is not None:
            page.held.wait(HANGS)
        try:
            for at in range(0, len(body), 1 if page.trickle else len(body) or 1):
                self.wfile.write(body[at : at + 1] if page.trickle else body)
                self.wfile.flush()
                time.sleep(page.trickle)
        except OSError:
            pass
        web.ended += 1
