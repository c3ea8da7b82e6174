"""Files that lie, do not end, or point elsewhere: a clear answer, nothing left behind, and little memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.fixes.media import proving
from curate.fixes.media.copies import MEDIA_FIXERS
from curate.fixes.protocol import CannotMend
from curate.media.make import containers, pictures
from curate.media.make.refusal import CannotMake
from tests.agreement.media_factory import bomb
from tests.curate.fixes.media.making import photo
from tests.probes.clips import write_clip
from tests.scaffold import make_media
from validators.probes.opening import Elsewhere

FIXERS = [(code, which) for code, fixers in sorted(MEDIA_FIXERS.items()) for which in range(len(fixers))]


def attempt(code: str, source: Path, folder: Path, which: int = 0) -> str:
    """What the fixer says, be it yes or no; a no leaves nothing behind."""
    fixer = MEDIA_FIXERS[code][which]
    folder.mkdir(exist_ok=True)
    copy = folder / f"copy{fixer.suffix(source)}"
    copy.unlink(missing_ok=True)
    try:
        words = fixer.make(source, copy)
    except CannotMend as reason:
        assert list(folder.iterdir()) == []
        return str(reason)
    assert list(folder.iterdir()) == [copy]
    copy.unlink()
    return words


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stock") / "media"
    make_media(folder)
    (folder / "zero.bin").write_bytes(b"")
    (folder / "page.html").write_text("<html>403</html>")
    (folder / "bomb.png").write_bytes(bomb(30_000, 30_000))
    Image.new("L", (1, 1)).save(folder / "dot.png")
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nstream.ts\n#EXT-X-ENDLIST\n")
    (folder / "script.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    return folder


@pytest.mark.parametrize(("code", "which"), FIXERS)
def test_every_fixer_answers_every_file(media: Path, tmp_path: Path, code: str, which: int) -> None:
    before = {path: path.read_bytes() for path in media.iterdir()}
    for path in before:
        assert attempt(code, path, tmp_path / "out", which)
    assert {path: path.read_bytes() for path in media.iterdir()} == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_is_answered(media: Path, tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["turned.jpg", "deep.png", "clear.png", "moving.gif", "stream.mkv", "stream.ts"]))
    name = data.draw(st.sampled_from([name, "phone.mp4", "tone.wav"]))
    content = bytearray((media / name).read_bytes())
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=8)):
        content[at] = value
    source = tmp_path / name
    source.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    kind = {"jpg": "IMG", "png": "IMG", "gif": "IMG", "wav": "AUD"}.get(source.suffix[1:], "VID")
    for code, which in FIXERS:
        if code.startswith(kind):
            attempt(code, source, tmp_path / "out", which)


def test_a_bomb_is_not_decoded(media: Path, tmp_path: Path) -> None:
    assert "more than 178956970 pixels" in attempt("IMG101", media / "bomb.png", tmp_path / "out")


def test_large_pictures_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    source = tmp_path / "large.jpg"
    Image.fromarray(photo(60, 40)).save(source, exif=exif)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 2399)
    assert attempt("IMG301", source, tmp_path / "out") == "more than 2399 pixels"


def test_endless_videos_and_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "long.mkv"
    write_clip(source, "mpeg4", 30)
    monkeypatch.setattr(containers, "MAX_COUNTED", 20)
    assert "more than 20 frames" in attempt("VID301", source, tmp_path / "out")
    monkeypatch.setattr(proving, "MAX_BYTES", 0)
    assert "larger than" in attempt("VID301", source, tmp_path / "out")


def test_playlists_are_not_followed(media: Path) -> None:
    import av

    with av.open(str(media / "list.m3u8")) as followed:
        assert followed.streams.video
    with pytest.raises(Elsewhere, match=r"stream\.ts"), containers.read(media / "list.m3u8"):
        pass


def test_postscript_is_not_run(media: Path) -> None:
    with pytest.raises(CannotMake, match="EPS"), pictures.opened(media / "script.eps"):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    source = tmp_path / "long.mkv"
    write_clip(source, "mpeg4", 3000, size=(320, 240))
    script = (
        "import re, sys; from pathlib import Path; from curate.fixes.media.copies import MEDIA_FIXERS\n"
        "MEDIA_FIXERS['VID301'][0].make(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) // 1024)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, source, tmp_path / "copy.mp4"], capture_output=True, text=True, check=True
    )
    decoded = 3000 * 320 * 240 * 3 >> 20
    assert int(ran.stdout) < 350 < decoded
