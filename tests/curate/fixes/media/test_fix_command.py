"""`curate fix` with media, end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate.cli import main
from tests.curate.fixes.media.making import photo
from tests.probes.clips import turned, write_clip
from tests.rules.test_laws import Project
from tests.scaffold import lay_out

KINDS = {".mkv": "video", ".mp4": "video", ".webm": "video"}


@pytest.fixture
def folder(project: Project) -> Path:
    """Media and a tokenizer, in the working folder."""
    return project({}).absolute().parent


def rows_of(folder: Path, *names: str) -> str:
    """Rows that name these files; gives the train yaml."""
    rows = []
    for number, name in enumerate(names):
        kind = KINDS.get(Path(name).suffix, "image")
        turns = [("user", f"<{kind}>What is number {number}?"), ("assistant", "It.")]
        row = {"messages": [{"role": role, "content": text} for role, text in turns], "images": [], "videos": []}
        rows.append(row | {f"{kind}s": [name]})
    overlay = {"data.json": json.dumps(rows, indent=2), "train.yaml": "{video_maxlen: 16, media_dir: .}"}
    return str(lay_out(folder, overlay))


def paths(folder: Path) -> list[str]:
    rows = json.loads((folder / "data.json").read_text())
    return [path for row in rows for path in row["images"] + row["videos"]]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_safe_fixes_then_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = rows_of(folder, "turned.jpg", "deep.png", "stream.mkv", "cat.jpg", "turned.jpg", "old.webm", "phone.mp4")
    write_clip(folder / "old.webm", "libvpx", 30)
    before = content(folder)
    main(["fix", train])
    said = capsys.readouterr().out
    assert "turned.jpg → turned.fixed.jpg: turned by 90° to the right" in said
    assert "stream.mkv → stream.fixed.mp4: copied into an MP4" in said
    kept = ["deep.png", "stream.fixed.mp4", "cat.jpg", "turned.fixed.jpg", "old.webm", "phone.mp4"]
    assert paths(folder) == ["turned.fixed.jpg", *kept]
    main(["fix", "--unsafe-fixes", train])
    kept = ["deep.fixed.png", "stream.fixed.mp4", "cat.jpg", "turned.fixed.jpg", "old.fixed.mp4", "phone.fixed.mp4"]
    assert paths(folder) == ["turned.fixed.jpg", *kept]
    after = content(folder)
    assert {name: after[name] for name in before if name != "data.json"} == {
        name: data for name, data in before.items() if name != "data.json"
    }
    assert after["data.json.bak"] == before["data.json"]
    capsys.readouterr()
    assert main(["check", train]) == 0
    assert "altered" not in capsys.readouterr().out
    main(["fix", "--unsafe-fixes", train])
    assert content(folder) == after


def test_a_picture_with_two_faults_leaves_one_copy(folder: Path) -> None:
    train = rows_of(folder, "both.png", "phone.mkv")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo(160, 112)[..., 0].astype(np.uint16) * 257).save(folder / "both.png", exif=exif)
    (folder / "phone.mkv").write_bytes(turned((folder / "clip.mp4").read_bytes(), 90))
    before = set(content(folder))
    main(["fix", "--unsafe-fixes", train])
    assert main(["check", train]) == 0
    new = set(content(folder)) - before - {"data.json.bak"}
    assert sorted(new) == sorted(paths(folder))


def test_a_difference_leaves_no_copies(folder: Path) -> None:
    train = rows_of(folder, "turned.jpg", "stream.mkv")
    before = content(folder)
    assert main(["fix", "--diff", "--unsafe-fixes", train]) == 1
    assert content(folder) == before
