"""Files made to break whoever opens them."""

from __future__ import annotations

import http.server
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.probes.clips import write_clip
from validators.probes import reading
from validators.probes.audio import probe_audio
from validators.probes.facts import Health, MediaFacts
from validators.probes.image import probe_image
from validators.probes.video import probe_video

PROBES: tuple[Callable[[Path], MediaFacts], ...] = (probe_image, probe_video, probe_audio)
MAGIC = {
    "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\0",
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "gif": b"GIF89a",
    "webp": b"RIFF\xff\xff\0\0WEBPVP8 ",
    "tiff": b"II*\0\x08\0\0\0",
    "wav": b"RIFF\xff\xff\0\0WAVEfmt \x10\0\0\0",
    "mp4": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2\0\0\1\0moov",
    "mkv": b"\x1a\x45\xdf\xa3",
    "mp3": b"ID3\3\0\0\0\0\0\0\xff\xfb\x90\x44",
    "ogg": b"OggS\0\2",
    "flac": b"fLaC\0\0\0\x22",
    "avif": b"\0\0\0\x1cftypavif",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", MAGIC)
def test_rubbish_gives_facts(kind: str, tmp_path: Path) -> None:
    """Any bytes behind a known beginning give facts, never an exception."""
    rng = np.random.default_rng(len(kind))
    path = tmp_path / "rubbish"
    for length in (0, 1, 7, 30, 300, 5000):
        path.write_bytes(MAGIC[kind] + rng.bytes(length))
        for probe in PROBES:
            assert isinstance(probe(path), MediaFacts)


def test_endless_boxes(tmp_path: Path) -> None:
    """Boxes inside boxes, by the hundred thousand, end quickly."""
    inner = struct.pack(">I4s", 8, b"free") * 200_000
    path = tmp_path / "boxes.mp4"
    path.write_bytes(struct.pack(">I4s", len(inner) + 8, b"moov") + inner)
    assert probe_video(path).health is not Health.OK


def test_decompression_bomb(tmp_path: Path) -> None:
    """A picture of more pixels than Pillow allows is refused by its header."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"x") + chunk(b"IEND", b""))
    facts = probe_image(path)
    assert facts.health is Health.BOMB and "178956970" in facts.detail


@pytest.fixture
def visits() -> Iterator[tuple[int, list[str]]]:
    """A web server's port and what was asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, asked
        server.shutdown()


def test_playlists_fetch_nothing(visits: tuple[int, list[str]], tmp_path: Path) -> None:
    """A playlist under a video's name makes no request and opens no file outside its folder."""
    port, asked = visits
    address = f"http://127.0.0.1:{port}/x.mp4"
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{address}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{address}'\n",
        "ffconcat version 1.0\nfile '/etc/hostname'\n",
        f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>{address}</BaseURL></Period></MPD>',
    ):
        path = tmp_path / "list.mp4"
        path.write_text(text)
        for probe in PROBES:
            assert probe(path).health is not Health.OK
    assert asked == []


@pytest.mark.parametrize("has_pread", [True, False])
def test_reading_moves_nothing(has_pread: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes read at an offset are the file's, and the file's own position stays, with pread and without."""
    monkeypatch.setattr(reading, "HAS_PREAD", has_pread)
    path = tmp_path / "file"
    path.write_bytes(bytes(range(200)))
    with path.open("rb") as file:
        assert file.read(3) == b"\0\1\2"
        assert reading.read_at(file.fileno(), 4, 100) == bytes(range(100, 104))
        assert reading.read_at(file.fileno(), 4, 198) == bytes((198, 199))
        assert file.read(1) == b"\3" and file.tell() == 4


def test_a_stream_of_an_unknown_kind(tmp_path: Path) -> None:
    """PyAV's Stream.type ends the process on it; hence in one of its own."""
    path = tmp_path / "unknown.avi"
    write_clip(path, "rawvideo", 5)
    content = path.read_bytes()
    at = content.index(b"strh") + 4
    path.write_bytes(content[:at] + (0x238).to_bytes(2, "little") + content[at + 2 :])
    script = "import sys; from pathlib import Path; from validators.probes.video import probe_video as probe\n"
    script += "print(probe(Path(sys.argv[1])).detail)"
    ran = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "no video stream, only unknown\n")
