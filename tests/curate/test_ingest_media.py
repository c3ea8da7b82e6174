"""Media on their way in: where each mode puts them, what is fetched, and what hostile rows and archives cannot do."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.cli import main
from curate.ingest import given, webdataset
from curate.ingest.raw import Blob, Intake, Remote
from curate.media import keeper
from curate.media.keeper import Keeper, Mode
from curate.media.magic import suffix_of
from tests.curate.make_samples import SAMPLES
from validators.engine import check
from validators.model import MediaKind

RED = (SAMPLES / "media" / "red.jpg").read_bytes()
BLUE = (SAMPLES / "media" / "blue.png").read_bytes()
SHA = hashlib.sha256(RED).hexdigest()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "red.jpg").write_bytes(RED)
    (folder / "pictures" / "again.jpeg").write_bytes(RED)
    (tmp_path / "outside.jpg").write_bytes(RED)
    return folder


def build(home: Path, rows: list[dict[str, object]], code: int = 0, **keys: object) -> dict[str, object]:
    """Build rows of messages, and the manifest."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (home / "rows.jsonl").write_text(text)
    source = {"path": "rows.jsonl", "format": "openai"}
    recipe = {"version": 1, "target": "out", "datasets": [{"name": "data", "sources": [source]}]} | keys
    (home / "recipe.yaml").write_text(json.dumps(recipe))
    assert main(["build", str(home / "recipe.yaml")]) == code
    return json.loads((home / "out" / "manifest.json").read_text()) if code == 0 else {}


def row(*images: object, answer: str = "Red.") -> dict[str, object]:
    tags = "<image>" * len(images)
    messages = [{"role": "user", "content": f"{tags}What?"}, {"role": "assistant", "content": answer}]
    return {"messages": messages, "images": list(images)}


def reasons(home: Path) -> list[str]:
    entries = [json.loads(line) for line in (home / "out" / "ledger.jsonl").read_text().splitlines()]
    return [entry["reason"] for entry in entries if entry["action"] == "dropped"]


def images(home: Path) -> list[list[str]]:
    return [entry["images"] for entry in json.loads((home / "out" / "data.json").read_text())]


DATA_ADDRESS = "data:image/jpeg;base64," + base64.b64encode(RED).decode()


@pytest.mark.parametrize(
    ("mode", "path", "root"),
    [
        ("reference", "pictures/red.jpg", ".."),
        ("copy", "media/pictures/red.jpg", "."),
        ("hardlink", "media/pictures/red.jpg", "."),
        ("store", f"media/{SHA[:2]}/{SHA}.jpg", "."),
    ],
)
def test_where_each_mode_puts_a_file(mode: str, path: str, root: str, home: Path) -> None:
    manifest = build(home, [row("pictures/red.jpg")], media=mode)
    assert images(home) == [[path]] and manifest["media_root"] == root
    medium = home / "out" / root / path
    assert medium.read_bytes() == RED
    linked = medium.stat().st_ino == (home / "pictures" / "red.jpg").stat().st_ino
    assert linked is (mode in ("reference", "hardlink"))
    assert (mode != "reference") is (path in manifest["files"])  # type: ignore[operator]
    data = manifest["datasets"]["data"]  # type: ignore[index]
    assert data["media"] == {path: {"sha256": SHA, "bytes": len(RED)}}
    assert check(home / "out").errors == 0


def test_the_store_holds_the_same_bytes_once(home: Path) -> None:
    rows = [row("pictures/red.jpg", "pictures/again.jpeg"), row(DATA_ADDRESS, answer="Also red.")]
    build(home, rows, media="store")
    assert images(home) == [[f"media/{SHA[:2]}/{SHA}.jpg"] * 2, [f"media/{SHA[:2]}/{SHA}.jpg"]]
    assert [file.name for file in (home / "out" / "media").rglob("*.*")] == [f"{SHA}.jpg"]


def test_media_inside_the_data_choose_the_store(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(home, [row(DATA_ADDRESS), row("pictures/red.jpg", answer="Both the same.")])
    assert "media: store, since a source holds its media" in capsys.readouterr().out
    assert images(home) == [[f"media/{SHA[:2]}/{SHA}.jpg"]] * 2


def test_media_inside_the_data_go_below_the_target_where_files_are_referenced(home: Path) -> None:
    build(home, [row(DATA_ADDRESS), row("pictures/red.jpg")], media="reference")
    assert images(home) == [[f"out/media/{SHA[:2]}/{SHA}.jpg"], ["pictures/red.jpg"]]
    assert check(home / "out").errors == 0


def test_media_inside_the_data_need_a_place(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(home, [row(DATA_ADDRESS)], code=2, media="reference", media_root="pictures")
    assert "expected media: store, copy or hardlink, or a target under the media root" in capsys.readouterr().err
    assert not (home / "out").exists()


def test_what_dropped_rows_brought_is_swept(home: Path) -> None:
    bad = row("data:image/png;base64," + base64.b64encode(BLUE).decode())
    bad["messages"] = [{"role": "user", "content": "<image><image>?"}, {"role": "assistant", "content": "x"}]
    manifest = build(home, [bad, row(DATA_ADDRESS)], media="store")
    assert [path.name for path in (home / "out" / "media").rglob("*") if path.is_file()] == [f"{SHA}.jpg"]
    assert not any("incoming" in name for name in manifest["files"])  # type: ignore[attr-defined]


def test_an_old_store_goes_with_its_rows(home: Path) -> None:
    build(home, [row(DATA_ADDRESS)], media="store")
    build(home, [row("pictures/red.jpg")], media="reference")
    assert not (home / "out" / "media").exists()


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("../outside.jpg", "leads outside the media root"),
        ("/etc/passwd", "leads outside the media root"),
        ("file:///etc/passwd", "leads outside the media root"),
        ("pictures/../../outside.jpg", "leads outside the media root"),
        ("link.jpg", "leads outside the media root"),
        ("folder/outside.jpg", "leads outside the media root"),
        ("pipe.jpg", "not found under the media root"),
        ("s3://bucket/x.jpg", "is at s3://, which is not read"),
        ("http://127.0.0.1/x.jpg", "fetched only where the recipe says fetch: true"),
        ("data:application/x-unknown;base64,AAAA", "bytes of no known image format"),
        ("data:image/png;base64,%%%", "is no base64"),
        ("data:text/html,x", "a data: address without base64"),
        ({"bytes": None, "path": None}, "holds neither bytes nor a path"),
        ({"array": [0.1], "sampling_rate": 8}, "is decoded sound; its file is needed"),
        (7, "images[0] is 7"),
        ("a\0.jpg", "holds characters that no path can"),
    ],
)
@pytest.mark.parametrize("mode", ["reference", "store", "hardlink"])
def test_a_row_cannot_lead_out(mode: str, image: object, reason: str, home: Path) -> None:
    (home / "link.jpg").symlink_to(home.parent / "outside.jpg")
    (home / "folder").symlink_to(home.parent)
    os.mkfifo(home / "pipe.jpg")
    build(home, [row(image), row("pictures/red.jpg")], media=mode)
    assert len(images(home)) == 1
    (said,) = reasons(home)
    assert reason in said


def test_a_path_that_goes_round_within_the_root_is_straightened(home: Path) -> None:
    absolute = str(home / "pictures" / "red.jpg")
    build(home, [row("pictures/../pictures/red.jpg"), row(absolute, answer="Absolute.")])
    assert images(home) == [["pictures/red.jpg"], ["pictures/red.jpg"]]


def test_a_link_within_the_root_becomes_the_file(home: Path) -> None:
    (home / "alias.jpg").symlink_to(home / "pictures" / "red.jpg")
    for mode in ("copy", "hardlink"):
        build(home, [row("alias.jpg")], media=mode)
        copy = home / "out" / "media" / "alias.jpg"
        assert not copy.is_symlink() and copy.read_bytes() == RED


def test_sizes_are_capped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given, "MAX_BLOB_BYTES", len(RED) - 1)
    monkeypatch.setattr(keeper, "MAX_FILE_BYTES", len(RED) - 1)
    build(home, [row(DATA_ADDRESS), row("pictures/red.jpg"), {**row(), "images": []}], media="store")
    assert [reason.partition(" is larger than ")[0] for reason in reasons(home)] == ["images[0]", "pictures/red.jpg"]


def test_each_file_is_hashed_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: (read.append(file.name), real(file, name))[1])
    build(home, [row("pictures/red.jpg", answer=f"{number}.") for number in range(5)], media="copy")
    assert len([name for name in read if name.endswith("red.jpg")]) == 1


def shard(path: Path, *members: tuple[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def special(name: str, kind: bytes, target: str = "") -> tuple[str, tarfile.TarInfo]:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return name, info


def test_a_shard_cannot_write_or_read_files(home: Path) -> None:
    path = shard(
        home / "evil.tar",
        ("../../escape.jpg", RED),
        ("../../escape.txt", b"Up."),
        ("/abs.jpg", RED),
        ("/abs.txt", b"Rooted."),
        special("link.jpg", tarfile.SYMTYPE, "/etc/passwd"),
        ("link.txt", b"A link."),
        special("dev.jpg", tarfile.CHRTYPE),
    )
    items = list(webdataset.read(Intake(path, home)))
    assert [item.caption or item.problem for item in items] == ["Up.", "Rooted.", "a caption without a medium"]
    assert all(isinstance(medium, Blob) for item in items for _, medium in item.media)
    recipe = {"version": 1, "target": "out", "datasets": [{"name": "data", "sources": [{"path": "evil.tar"}]}]}
    (home / "recipe.yaml").write_text(json.dumps(recipe))
    before = {path for path in home.parent.rglob("*") if home / "out" not in path.parents}
    assert main(["build", str(home / "recipe.yaml")]) == 0
    own = {home / "out", home / ".out.work"}
    after = {path for path in home.parent.rglob("*") if not own & set(path.parents)}
    assert {path.name for path in after - before} <= {"out", ".out.lock", ".out.work"}


def test_a_shard_s_members_are_grouped_as_the_library_does(home: Path) -> None:
    path = shard(
        home / "a.tar",
        ("__meta__/x.txt", b"no"),
        ("d.1/a.JPG", RED),
        ("d.1/a.seg.png", BLUE),
        ("d.1/a.txt", b"Two."),
        ("noending", b"no"),
        ("d.1/b.jpg", RED),
        ("d.1/b.jpg", RED),
        ("d.1/b.txt", b"Twice."),
        ("c.jpg", RED),
        ("c.npy", b"\x93NUMPY"),
        ("c.json", b'{"messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "!"}]}'),
    )
    first, second, third = webdataset.read(Intake(path, home))
    assert first.caption == "Two." and len(first.media) == 2
    assert second.problem == "two members jpg in one sample"
    assert [turn.content for turn in third.turns] == ["<image>?", "!"] and third.left == ("npy",)


def test_a_shard_that_promises_too_much(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shard(home / "a.tar", ("a.jpg", RED), ("a.txt", b"Red."))
    monkeypatch.setattr(webdataset, "MAX_BLOB_BYTES", len(RED) - 1)
    (item,) = webdataset.read(Intake(path, home))
    assert item.problem.startswith("jpg is larger than") and not item.media
    monkeypatch.setattr(webdataset, "MAX_HEADER_BYTES", 100)
    (home / "long.tar").write_bytes(b"")
    long = shard(home / "long.tar", ("a" * 300 + ".jpg", RED))
    with pytest.raises(Exception, match="not a readable tar file: a header of"):
        list(webdataset.read(Intake(long, home)))


def test_a_cut_shard_is_told(home: Path) -> None:
    path = shard(home / "a.tar", ("a.jpg", RED * 9), ("a.txt", b"Red."))
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(Exception, match="not a readable tar file"):
        list(webdataset.read(Intake(path, home)))


def test_a_wide_parquet_file_is_read_a_few_rows_at_a_time(home: Path) -> None:
    from curate.ingest import tables
    from curate.ingest.raw import Options

    heavy = [{"image": {"bytes": bytes(1 << 20), "path": None}, "text": str(number)} for number in range(40)]
    pq.write_table(
        pa.Table.from_pylist(heavy), home / "wide.parquet", row_group_size=40, compression="NONE", use_dictionary=False
    )
    sizes: list[int] = []
    real = pq.ParquetFile.iter_batches

    def spying(self: pq.ParquetFile, batch_size: int, **rest: object) -> Iterator[pa.RecordBatch]:
        sizes.append(batch_size)
        return real(self, batch_size=batch_size, **rest)

    pq.ParquetFile.iter_batches = spying  # type: ignore[method-assign]
    try:
        rows = list(tables.rows(home / "wide.parquet", Options()))
    finally:
        pq.ParquetFile.iter_batches = real  # type: ignore[method-assign]
    assert len(rows) == 40 and sizes and max(sizes) <= 32


@pytest.mark.parametrize(
    ("head", "name", "suffix"),
    [
        (RED, "", "jpg"),
        (RED, "x.jpeg", "jpg"),
        (BLUE, "wrong.jpg", "png"),
        ((SAMPLES / "media" / "clip.mp4").read_bytes(), "x.mov", "mov"),
        ((SAMPLES / "media" / "clip.mp4").read_bytes(), "", "mp4"),
        ((SAMPLES / "media" / "tone.wav").read_bytes(), "", "wav"),
        (b"unknown", "x.flac", "flac"),
        (b"unknown", "x.exe", None),
    ],
)
def test_the_ending_is_told_by_the_bytes(head: bytes, name: str, suffix: str | None) -> None:
    assert suffix_of(head[:64], name) == suffix


def test_addresses_and_bytes_are_told_apart() -> None:
    assert given.given("HTTPS://x.org/a.jpg", "image") == Remote("HTTPS://x.org/a.jpg")
    assert given.given({"url": "data:image/jpeg;base64," + base64.b64encode(RED).decode()}, "image") == Blob(
        RED, "medium.jpg"
    )
    assert given.given({"bytes": RED, "path": "a/b.jpg"}, "image") == Blob(RED, "a/b.jpg")
    assert given.given("file:///data/a%20b.jpg", "image") == "/data/a b.jpg"


def test_a_medium_is_kept_once_however_often_it_is_named(home: Path) -> None:
    keep = Keeper(Mode.STORE, home, home / "out", home / "staging")
    one = keep.keep(MediaKind.IMAGE, "pictures/red.jpg", "x")
    assert keep.keep(MediaKind.IMAGE, "pictures/red.jpg", "x") is one
