"""A medium from an http address, safely: of public hosts only, of bounded size, in bounded time.

Each host's addresses are looked up once and the connection goes to the one that was judged, so that a second look-up
cannot lead elsewhere. Proxies of the environment are not used: they would look the name up themselves.
"""

from __future__ import annotations

import errno
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import PurePosixPath
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

from curate.ingest.given import MAX_BLOB_BYTES
from curate.ingest.raw import NoUse, kind_by_suffix, shown

MAX_REDIRECTS = 5
READ_SECONDS = 20.0
WHOLE_SECONDS = 120.0
"""For one address, with all attempts and the waiting between them."""
CHUNK = 1 << 16
PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)
NOT_MODIFIED = 304
# RFC 9110 and 6585: answers of a server that may answer otherwise soon
PASSING = (408, 425, 429, 500, 502, 503, 504)
NO_NETWORK = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
Judge = Callable[[str], bool]


class Unanswered(NoUse):
    """The host gave no answer, or none that says anything of the medium.

    again: whether another attempt may help. status: what was answered, 0 for nothing. wait: seconds that the host asks
    for, None where it does not.
    """

    def __init__(self, words: str, again: bool, status: int = 0, wait: float | None = None) -> None:
        super().__init__(words)
        self.again = again
        self.status = status
        self.wait = wait


class DiskFault(Exception):
    """What came could not be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))


@dataclass(frozen=True, slots=True)
class Asked:
    """What to ask beside the address. etag, last_modified: of what is there already, "" for nothing. deadline: of
    time.monotonic(). limit: bytes of an answer. started: is shown each connection that is opened."""

    deadline: float
    etag: str = ""
    last_modified: str = ""
    limit: int = MAX_BLOB_BYTES
    started: Callable[[Pinned], object] = lambda _: None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came with the bytes. fresh: whether what is there already still holds, and no bytes came. ending: of the
    last address, where it is that of a medium. seconds: for which the answer may be used without asking. keep: whether
    it may be stored."""

    fresh: bool
    ending: str
    etag: str
    last_modified: str
    seconds: float
    keep: bool


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet's: not of this machine, its network, or a reserved range."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_global and not ip.is_multicast


def fetch(url: str, out: BinaryIO, asked: Asked, judge: Judge) -> Reply:
    """Write the bytes at an address; NoUse says why there are none, Unanswered where that is not for good."""
    for _ in range(MAX_REDIRECTS + 1):
        connection, target = connect(url, judge)
        asked.started(connection)
        # a read's own time-out does not end an answer that trickles
        alarm = threading.Timer(max(0.0, asked.deadline - time.monotonic()), connection.hang_up)
        alarm.daemon = True
        alarm.start()
        try:
            connection.request("GET", target, headers=headers_of(asked))
            answer = connection.getresponse()
            if answer.status in REDIRECTS and (place := answer.headers.get("Location")):
                url = urljoin(url, place)
                continue
            if answer.status != NOT_MODIFIED or not (asked.etag or asked.last_modified):
                see_good(answer, url)
                copy_body(answer, url, out, asked)
                if connection.hung_up:  # an answer of no stated length ends as if it were whole
                    raise Unanswered(f"{shown(url)} takes longer than {WHOLE_SECONDS:.0f} s", again=False)
            return reply_of(answer, url)
        except (OSError, http.client.HTTPException, ValueError) as error:
            words = f"{shown(url)} cannot be fetched: {str(error) or type(error).__name__}"
            final = getattr(error, "errno", None) in NO_NETWORK or isinstance(error, ssl.SSLCertVerificationError)
            raise Unanswered(words, not final) from error
        finally:
            alarm.cancel()
            connection.close()
    raise NoUse(f"{shown(url)} leads on more than {MAX_REDIRECTS} times")


def headers_of(asked: Asked) -> dict[str, str]:
    """A request's headers."""
    headers = {"User-Agent": "mmcurate", "Accept-Encoding": "identity"}
    if asked.etag:
        headers["If-None-Match"] = asked.etag
    if asked.last_modified:
        headers["If-Modified-Since"] = asked.last_modified
    return headers


def see_good(answer: http.client.HTTPResponse, url: str) -> None:
    """NoUse, or Unanswered, for an answer other than 200."""
    status, words = answer.status, f"{shown(url)} answers {answer.status}"
    if status in PASSING or status >= 500:
        raise Unanswered(words, status in PASSING, status, seconds_in(answer.headers.get("Retry-After", "")))
    if status != 200:
        raise NoUse(words)


def seconds_in(text: str) -> float | None:
    """What a Retry-After header asks for (RFC 9110, 10.2.3): seconds, or until a date; None where it is neither."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def reply_of(answer: http.client.HTTPResponse, url: str) -> Reply:
    """What an answer says of itself (RFC 9111: Cache-Control, Age)."""
    said = [part.strip().lower() for part in answer.headers.get("Cache-Control", "").split(",")]
    ages = [part.partition("=")[2].strip('"') for part in said if part.startswith("max-age=")]
    seconds = float(ages[0]) if ages and ages[0].isdecimal() and "no-cache" not in said else 0.0
    age = answer.headers.get("Age", "")
    path = urlsplit(url).path
    return Reply(
        answer.status == NOT_MODIFIED,
        PurePosixPath(path).suffix if kind_by_suffix(path) is not None else "",
        answer.headers.get("ETag", ""),
        answer.headers.get("Last-Modified", ""),
        max(0.0, seconds - (float(age) if age.isdecimal() else 0.0)),
        "no-store" not in said,
    )


def connect(url: str, judge: Judge) -> tuple[Pinned, str]:
    """A connection to an address that passed the judge, and what to ask for there."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise NoUse(f"{shown(url)} is no address") from error
    host = parts.hostname
    if parts.scheme not in PORTS or not host:
        raise NoUse(f"{shown(url)} is no http address")
    try:
        known = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except UnicodeError as error:
        raise NoUse(f"{shown(url)}: no such host") from error
    except OSError as error:  # a name that is unknown, or no network: the resolver does not always tell
        raise Unanswered(f"{shown(url)}: no such host", again=False) from error
    if not all(judge(address) for address in known):
        raise NoUse(f"{shown(url)} is at a private address")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii() or any(mark in target for mark in " \r\n\t"):
        raise NoUse(f"{shown(url)} is not encoded as an address")
    return Pinned(host, port, sorted(known)[0], parts.scheme == "https"), target


@lru_cache(maxsize=1)
def trust() -> ssl.SSLContext:
    """The certificates of this machine, which take long to read."""
    return ssl.create_default_context()


class Pinned(http.client.HTTPConnection):
    """Speaks to one address in the name of a host."""

    def __init__(self, host: str, port: int, address: str, secure: bool) -> None:
        super().__init__(host, port, timeout=READ_SECONDS)
        self.address = address
        self.secure = secure
        # http.client lets go of its own when the answer is to be the last, and reads on
        self.line: socket.socket | None = None
        self.hung_up = False

    def connect(self) -> None:
        """Open the connection to the judged address; the certificate must be the host's."""
        self.sock = socket.create_connection((self.address, self.port), READ_SECONDS)
        if self.secure:
            self.sock = trust().wrap_socket(self.sock, server_hostname=self.host)
        self.line = self.sock

    def hang_up(self) -> None:
        """End whatever is being read, from another thread."""
        self.hung_up = True
        if self.line is not None:
            with suppress(OSError):
                self.line.shutdown(socket.SHUT_RDWR)


def copy_body(answer: http.client.HTTPResponse, url: str, out: BinaryIO, asked: Asked) -> None:
    """Write what is sent, as long as it is bearable."""
    size = 0
    while chunk := answer.read1(CHUNK):
        size += len(chunk)
        if size > asked.limit:
            raise NoUse(f"{shown(url)} is larger than {asked.limit >> 20} MiB")
        try:
            out.write(chunk)
        except OSError as error:  # the disk's fault, not the network's
            raise DiskFault(error) from error
    if not size:
        raise NoUse(f"{shown(url)} is empty")
    expected = answer.headers.get("Content-Length")
    if expected and expected.isdecimal() and int(expected) != size:
        raise Unanswered(f"{shown(url)} ended early", again=True)
