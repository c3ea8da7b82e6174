"""A medium from an http address, safely: of public hosts only, of bounded size, in bounded time.

Each host's addresses are looked up once and the connection goes to the one that was judged, so that a second look-up
cannot lead elsewhere. Proxies of the environment are not used: they would look the name up themselves.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urljoin, urlsplit

from curate.ingest.given import MAX_BLOB_BYTES
from curate.ingest.raw import NoUse

MAX_REDIRECTS = 5
READ_SECONDS = 20.0
WHOLE_SECONDS = 120.0
CHUNK = 1 << 16
PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)
Judge = Callable[[str], bool]


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet's: not of this machine, its network, or a reserved range."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_global and not ip.is_multicast


def fetch(url: str, judge: Judge = is_public, limit: int = MAX_BLOB_BYTES) -> tuple[bytes, str]:
    """The bytes, and a name for their ending; NoUse says why there are none."""
    deadline = time.monotonic() + WHOLE_SECONDS
    for _ in range(MAX_REDIRECTS + 1):
        connection, target = connect(url, judge)
        # a read's own time-out does not end an answer that trickles
        alarm = threading.Timer(max(0.0, deadline - time.monotonic()), connection.hang_up)
        alarm.daemon = True
        alarm.start()
        try:
            connection.request("GET", target, headers={"User-Agent": "mmcurate", "Accept-Encoding": "identity"})
            answer = connection.getresponse()
            if answer.status in REDIRECTS and (place := answer.headers.get("Location")):
                url = urljoin(url, place)
                continue
            if answer.status != 200:
                raise NoUse(f"{url} answers {answer.status}")
            return body(answer, url, deadline, limit), urlsplit(url).path.rpartition("/")[2]
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoUse(f"{url} cannot be fetched: {str(error) or type(error).__name__}") from error
        finally:
            alarm.cancel()
            connection.close()
    raise NoUse(f"{url} leads on more than {MAX_REDIRECTS} times")


def connect(url: str, judge: Judge) -> tuple[Pinned, str]:
    """A connection to an address that passed the judge, and what to ask for there."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise NoUse(f"{url} is no address") from error
    host = parts.hostname
    if parts.scheme not in PORTS or not host:
        raise NoUse(f"{url} is no http address")
    try:
        known = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise NoUse(f"{url}: no such host") from error
    if not all(judge(address) for address in known):
        raise NoUse(f"{url} is at a private address")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii() or any(mark in target for mark in " \r\n\t"):
        raise NoUse(f"{url} is not encoded as an address")
    return Pinned(host, port, sorted(known)[0], parts.scheme == "https"), target


class Pinned(http.client.HTTPConnection):
    """Speaks to one address in the name of a host."""

    def __init__(self, host: str, port: int, address: str, secure: bool) -> None:
        super().__init__(host, port, timeout=READ_SECONDS)
        self.address = address
        self.secure = secure

    def connect(self) -> None:
        """Open the connection to the judged address; the certificate must be the host's."""
        self.sock = socket.create_connection((self.address, self.port), READ_SECONDS)
        if self.secure:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)

    def hang_up(self) -> None:
        """End whatever is being read, from another thread."""
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


def body(answer: http.client.HTTPResponse, url: str, deadline: float, limit: int) -> bytes:
    """What is sent, as long as it is bearable."""
    parts: list[bytes] = []
    size = 0
    while chunk := answer.read1(CHUNK):
        parts.append(chunk)
        size += len(chunk)
        if size > limit:
            raise NoUse(f"{url} is larger than {limit >> 20} MiB")
        if time.monotonic() > deadline:
            raise NoUse(f"{url} takes longer than {WHOLE_SECONDS:.0f} s")
    if not size:
        raise NoUse(f"{url} is empty")
    expected = answer.headers.get("Content-Length")
    if expected and expected.isdecimal() and int(expected) != size:
        raise NoUse(f"{url} ended early")
    return b"".join(parts)
