"""Previews: small, right, and safe with files that are not what they seem."""

from __future__ import annotations

import io
import os
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.scaffold import make_clip, make_media, make_tone
from validators.model import MediaKind, Outcome
from validators.previews.image import SIDE
from validators.previews.make import with_previews
from validators.previews.video import preview_video
from validators.report.model import DatasetSummary
from validators.report.shown import Preview, ShownMedium, ShownRow


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("previews") / "media"
    make_media(folder)
    return folder


def shown(*media: ShownMedium, most: int = 300) -> tuple[ShownMedium, ...]:
    """The media of one row after previews were made."""
    row = ShownRow("data.json", 0, Outcome.TRAINED, media=media)
    (summary,) = with_previews([DatasetSummary("data", 1, {}, shown=(row,))], most)
    return summary.shown[0].media


def one(kind: MediaKind, path: Path) -> ShownMedium:
    (medium,) = shown(ShownMedium(kind, path.name, "", str(path)))
    return medium


def picture(preview: Preview | None) -> tuple[str, tuple[int, int]]:
    """The format and size that Pillow finds in a preview."""
    from PIL import Image

    assert preview is not None and len(preview.data) < 20_000
    with Image.open(io.BytesIO(preview.data)) as image:
        image.load()
        assert (preview.width, preview.height) == image.size and max(image.size) <= SIDE
        assert preview.mime == f"image/{(image.format or '').lower()}" and image.mode == "RGB"
        return image.format or "", image.size


@pytest.mark.parametrize("name", ["cat.jpg", "dog.jpg", "clear.png", "deep.png", "moving.gif", "turned.jpg"])
def test_a_thumbnail_of_each_kind_of_picture(media: Path, name: str) -> None:
    from PIL import Image

    with Image.open(media / name) as image:
        width, height = image.size
    size = picture(one(MediaKind.IMAGE, media / name).preview)[1]
    scale = min(1, SIDE / max(width, height))
    assert abs(size[0] - width * scale) <= 1 and abs(size[1] - height * scale) <= 1


@pytest.mark.parametrize("name", ["clip.mp4", "stream.mkv", "stream.ts", "phone.mp4"])
def test_a_frame_of_a_video_by_either_decoder(media: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of the way in: the scaffold's clips grow lighter by 7 of 255 a frame."""
    from PIL import Image

    for without in (False, True):
        if without:
            monkeypatch.setattr("validators.previews.video.find_spec", lambda _: None)
        preview = one(MediaKind.VIDEO, media / name).preview
        assert picture(preview)[1] == (64, 48)
        assert preview is not None
        with Image.open(io.BytesIO(preview.data)) as image:
            grey = image.resize((1, 1)).getpixel((0, 0))
        assert isinstance(grey, tuple)
        # the codec, and a seek that lands on a keyframe, move it; the first frame would be 0
        assert 0 < grey[0] <= 30 * 7, (without, grey)


def test_the_outline_of_a_sound(tmp_path: Path) -> None:
    """Loud in its second half only; a format that libsndfile does not read goes through PyAV."""
    import numpy as np
    import soundfile

    half = np.concatenate([np.zeros(16000), np.sin(np.arange(16000) / 5)])
    soundfile.write(tmp_path / "half.wav", half, 16000)
    make_clip(tmp_path / "sound.mp4", frames=0, sound=True)
    make_tone(tmp_path / "tone.wav", seconds=0.001)
    preview = one(MediaKind.AUDIO, tmp_path / "half.wav").preview
    assert preview is not None
    middle = len(preview.peaks) // 2
    assert all(part == (0, 0) for part in preview.peaks[: middle - 2])
    assert all(low < -80 and high > 80 for low, high in preview.peaks[middle + 2 :])
    assert one(MediaKind.AUDIO, tmp_path / "sound.mp4").preview is not None
    assert one(MediaKind.AUDIO, tmp_path / "tone.wav").preview is not None


def test_each_file_is_made_once_and_no_more_than_allowed(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two names of one file are one file; beyond the bound the reason is told."""
    (media / "again.jpg").unlink(missing_ok=True)
    os.link(media / "cat.jpg", media / "again.jpg")
    names = ("cat.jpg", "again.jpg", "cat.jpg", "dog.jpg", "turned.jpg")
    entries = [ShownMedium(MediaKind.IMAGE, name, "", str(media / name)) for name in names]
    found = shown(*entries, most=2)
    assert found[0].preview is found[1].preview is found[2].preview and found[3].preview is not None
    assert found[4].preview is None and "only 2 previews" in found[4].reason
    assert all(each.preview is None for each in shown(*entries, most=0))


def test_bytes_inside_a_row_are_shown_and_let_go(media: Path) -> None:
    kinds = ((MediaKind.IMAGE, "cat.jpg"), (MediaKind.AUDIO, "tone.wav"), (MediaKind.VIDEO, "clip.mp4"))
    found = shown(*(ShownMedium(kind, "", "", data=(media / name).read_bytes()) for kind, name in kinds))
    assert all(each.preview is not None and each.data is None for each in found)


def bomb(side: int) -> bytes:
    """A PNG of side × side black pixels in a few kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    size = side.to_bytes(4, "big")
    packed = zlib.compressobj(9)
    line = bytes(1 + side // 8)
    pixels = b"".join(packed.compress(line) for _ in range(side)) + packed.flush()
    head = chunk(b"IHDR", size + size + b"\x01\x00\x00\x00\x00")
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_bomb_is_not_decoded(tmp_path: Path) -> None:
    for side, reason in ((8000, "too many to show"), (30_000, "decompression bomb")):
        (tmp_path / "bomb.png").write_bytes(bomb(side))
        medium = one(MediaKind.IMAGE, tmp_path / "bomb.png")
        assert medium.preview is None and reason in medium.reason


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nstream.ts\n#EXT-X-ENDLIST\n"),
        ("list.mp4", "ffconcat version 1.0\nfile stream.ts\n"),
    ],
)
def test_a_playlist_opens_no_other_file(media: Path, tmp_path: Path, name: str, text: str) -> None:
    """FFmpeg itself would follow it."""
    import av

    path = tmp_path / name
    path.write_text(text)
    (tmp_path / "stream.ts").write_bytes((media / "stream.ts").read_bytes())
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)) is not None
    medium = one(MediaKind.VIDEO, path)
    assert medium.preview is None and medium.reason
    assert one(MediaKind.AUDIO, path).preview is None


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    """A pipe without a writer would block for ever; the preview comes back at once."""
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    found: list[ShownMedium] = []
    worker = threading.Thread(target=lambda: found.append(one(MediaKind.IMAGE, pipe)), daemon=True)
    worker.start()
    worker.join(10)
    assert found and found[0].preview is None and "no regular file" in found[0].reason
    assert one(MediaKind.IMAGE, tmp_path / "nowhere.jpg").reason == "No such file or directory"


def damaged(data: bytes) -> Iterator[bytes]:
    """A file cut off, or with a stretch of it overwritten, in several places."""
    for part in range(1, 8):
        at = len(data) * part // 8
        yield data[:at]
        yield data[:at] + b"\xff" * 64 + data[at + 64 :]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (MediaKind.IMAGE, "dog.jpg"),
        (MediaKind.IMAGE, "deep.png"),
        (MediaKind.VIDEO, "clip.mp4"),
        (MediaKind.VIDEO, "stream.mkv"),
        (MediaKind.AUDIO, "tone.wav"),
    ],
)
def test_damaged_files_give_a_picture_or_a_reason(media: Path, tmp_path: Path, kind: MediaKind, name: str) -> None:
    for number, data in enumerate(damaged((media / name).read_bytes())):
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(data)
        medium = one(kind, path)
        assert (medium.preview is None) is bool(medium.reason)


def test_decord_is_only_given_files_that_it_shows_as_the_trainer_reads_them(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("validators.previews.video.by_decord", lambda path: asked.append(path.name) or 1 / 0)
    monkeypatch.setattr("validators.previews.video.find_spec", lambda _: sys)
    (tmp_path / "list.mp4").write_text("#EXTM3U\n")
    names = ("clip.mp4", "phone.mp4", "cut.mp4", "stream.mkv", "stream.ts")
    for path in (*(media / name for name in names), tmp_path / "list.mp4"):
        with path.open("rb") as file, suppress(Exception):
            preview_video(file)
    assert asked == ["clip.mp4"]
