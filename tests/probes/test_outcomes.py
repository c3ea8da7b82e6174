"""What becomes of rows whose media are odd: by the rules and budgets on one side, by the real trainer on the other."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.agreement.oracle import Oracle, make_family
from tests.probes.clips import copy_packets, patched, write_clip, write_fragmented
from tests.probes.sounds import write_coded
from tests.probes.test_altered import FILES
from tests.scaffold import TAGS, Overlay
from validators.engine import CheckOptions, check
from validators.model import Outcome
from validators.rules.rule import Depth

Project = Callable[[Overlay], Path]
BEYOND_BOUNDS = frozenset(["vast.png"])
"""A picture of more pixels than are decoded here, and whose pixels do not decode: MED304 says that it was not seen."""
OPPOSITE = "opposite.wav"
"""Two channels that cancel each other: the trainer trains on silence, which the oracle does not look for. AUD306 is
held against the trainer's own mix in tests/probes/test_whole.py."""
BEYOND_HEADERS = BEYOND_BOUNDS | {"damaged.png"}
"""And one whose chunks are all there."""
ALTERED = {
    "turned.jpg": "IMG301",
    "clear.png": "IMG302",
    "deep.png": "IMG303",
    "moving.gif": "IMG304",
    "stream.mkv": "VID301",
    "phone.mp4": "VID302",
}


def row_of(name: str) -> dict[str, object]:
    """A row about one file, by the name's end."""
    ending = name.rpartition(".")[2]
    kind = (
        "images"
        if ending in ("jpg", "png", "gif", "bin")
        else "audios"
        if ending in ("wav", "m4a", "mka")
        else "videos"
    )
    question = {"role": "user", "content": f"<{kind[:-1]}>What is it?"}
    return {"messages": [question, {"role": "assistant", "content": "It is."}], kind: [name]}


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_row_has_its_finding(name: str, project: Project) -> None:
    """A row over such a file is altered, with exactly the finding that says how."""
    data = json.dumps([row_of(name), row_of("cat.jpg")])
    report = check(project({"data.json": data, "train.yaml": "video_maxlen: 20"}), CheckOptions(keep_rows=True))
    assert [(finding.code, finding.place.row) for finding in report.findings] == [(ALTERED[name], 0)]
    assert report.datasets[0].outcomes == {Outcome.ALTERED: 1, Outcome.TRAINED: 1}


def test_what_comes_later_counts_more(project: Project) -> None:
    """An altered row that is also cut has the worse fate, in whichever order they are found."""
    row = row_of("turned.jpg")
    for cutoff, outcome in ((2048, Outcome.ALTERED), (24, Outcome.CRASH_STEP)):
        report = check(project({"data.json": json.dumps([row]), "train.yaml": f"cutoff_len: {cutoff}"}))
        assert report.datasets[0].outcomes == {outcome: 1}, cutoff
    missing = row | {"images": ["turned.jpg", "nowhere.jpg"]}
    missing["messages"] = [{"role": "user", "content": "<image><image>"}, {"role": "assistant", "content": "x"}]
    report = check(project({"data.json": json.dumps([missing])}))
    assert report.datasets[0].outcomes == {Outcome.CRASH_LOAD: 1}


@pytest.fixture(scope="module")
def odd(stock: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A media root with odd files of every kind."""
    folder = tmp_path_factory.mktemp("odd") / "project"
    shutil.copytree(stock, folder)
    rng = np.random.default_rng(0)
    for number, make in enumerate(FILES.values()):
        (folder / f"{number}.bin").write_bytes(make(rng))
    for name, codec in (
        ("a.mkv", "libx264"), ("b.webm", "libvpx-vp9"), ("c.ts", "libx264"), ("d.ts", "mpeg4"), ("e.flv", "flv1"),
        ("f.avi", "mpeg4"), ("h.nut", "mpeg4"), ("i.ivf", "libvpx-vp9"), ("j.mov", "mjpeg"), ("k.mp4", "libsvtav1"),
    ):  # fmt: skip
        write_clip(folder / name, codec, int(rng.integers(3, 40)), (160, 120))
    write_fragmented(folder / "fragments.mp4", 21)
    write_clip(folder / "whole.mp4", "libx264", 24, g="8")
    content = (folder / "whole.mp4").read_bytes()
    (folder / "instant.mp4").write_bytes(patched(content, b"mdhd", 16, b"\0\0\0\0"))
    (folder / "sized.mp4").write_bytes(patched(content, b"avc1", 24, struct.pack(">HH", 200, 100)))
    copy_packets(folder / "whole.mp4", folder / "late.mp4", lambda number: number >= 8)
    for name, new in (("hidden", 700), ("nearly", 2250)):
        (folder / f"{name}.mp4").write_bytes(patched(content, b"elst", 8, struct.pack(">I", new)))
    (folder / "begun.mp4").write_bytes(patched(content, b"elst", 12, struct.pack(">i", 9 * 1024)))
    broken = bytearray((folder / "f.avi").read_bytes())
    middle = len(broken) // 2
    broken[middle : middle + 2000] = rng.bytes(2000)
    (folder / "broken.avi").write_bytes(broken)
    copy_packets(folder / "whole.mp4", folder / "keyless.mp4", lambda number: number >= 5)
    (folder / "short.avi").write_bytes((folder / "f.avi").read_bytes()[:-3000])
    for name, codec, rate in (("x.m4a", "aac", 44100), ("y.mka", "libopus", 48000), ("z.wav", "pcm_s16le", 8000)):
        assert write_coded(folder / name, rng, codec, rate, 2)
    return folder


FAMILIES = {"qwen2_vl": "qwen2_vl", "minicpm_v": "v-2.6", "minicpm_o": "o-2.6"}


@pytest.mark.trainer
@pytest.mark.parametrize("template", ["qwen2_vl", "minicpm_v", "minicpm_o"])
@pytest.mark.parametrize("limits", [{}, {"video_maxlen": 7, "video_fps": 6.0, "image_max_pixels": 2000}])
def test_odd_media_train_as_predicted(
    template: str,
    limits: dict[str, float],
    odd: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Outcome and length of each row agree with the real trainer, whatever its file is; at header depth but for files
    whose headers are whole."""
    monkeypatch.chdir(tmp_path)
    names = sorted(path.name for path in odd.iterdir() if path.suffix not in ("", ".json", ".yaml"))
    rows = [row_of(name) for name in names]
    asked = [name for name, row in zip(names, rows, strict=True) if template == "minicpm_o" or "audios" not in row]
    rows = [row_of(name) for name in asked]
    columns = {key: key for key in ("messages", "images", "videos", "audios") if any(key in row for row in rows)}
    entry = {"file_name": "data.json", "formatting": "sharegpt", "columns": columns, "tags": TAGS}
    models = tmp_path_factory.getbasetemp() / "odd-models"
    family = make_family(FAMILIES[template], models / template, ["What is it? It is."])
    train = {"template": template, "dataset": "data", "dataset_dir": ".", "media_dir": str(odd), "cutoff_len": 9000}
    (tmp_path / "data.json").write_text(json.dumps(rows))
    (tmp_path / "dataset_info.json").write_text(json.dumps({"data": entry}))
    (tmp_path / "train.yaml").write_text(json.dumps(train | limits | {"model_name_or_path": str(family.folder)}))
    truths = Oracle(family, tmp_path, {"media_dir": str(odd), "cutoff_len": 9000, **limits}).judge_all("data")
    assert not isinstance(truths, str), truths
    for depth, unseen in ((Depth.HEADER, BEYOND_HEADERS), (Depth.DECODE, BEYOND_BOUNDS)):
        predictions = check("train.yaml", CheckOptions(keep_rows=True, depth=depth)).datasets[0].predictions
        assert predictions is not None
        wrong = []
        for number, (name, row, truth) in enumerate(zip(asked, rows, truths, strict=True)):
            predicted = predictions[number]
            if name == OPPOSITE and depth is Depth.DECODE:
                assert (truth.outcome, predicted.outcome) == (Outcome.TRAINED, Outcome.ALTERED)
                continue
            same = truth.outcome is predicted.outcome and (truth.tokens is None or truth.tokens == predicted.tokens)
            if not same and name not in unseen:
                wrong.append(f"{row} {truth} but {predicted}")
        assert not wrong, f"{depth}: {len(wrong)} of {len(rows)}:\n" + "\n".join(wrong)
