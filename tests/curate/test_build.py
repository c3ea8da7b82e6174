"""A whole build: its five outputs, the neighbours it leaves alone, and what a kill cannot break."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from pandera.errors import SchemaError

from curate.cli import main
from curate.schema import canonical_schema, validate
from curate.writers import atomic
from curate.writers.atomic import replacing
from tests.curate.push_scaffold import build_demo
from validators.engine import check
from validators.errors import UsageFault

TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}
NAMES = ("demo_image", "demo_video", "demo_audio", "demo_video_audio")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("build"))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "cat.jpg").write_bytes(b"cat")
    (tmp_path / "rows.jsonl").write_text('{"file_name": "cat.jpg", "caption": "A cat."}\n{"caption": ""}\n')
    text = "version: 1\ntarget: out\ndatasets:\n  - {name: cats, sources: [{format: jsonl, path: rows.jsonl}]}\n"
    (tmp_path / "recipe.yaml").write_text(text)
    return tmp_path / "recipe.yaml"


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", NAMES)
def test_arrow_and_json_hold_the_same_rows(built: Path, name: str) -> None:
    rows = datasets.load_from_disk(str(built / "arrow" / name))
    assert rows.features.arrow_schema.equals(canonical_schema())
    local = json.loads((built / f"{name}.json").read_text())
    assert [row["messages"] for row in rows] == [row["messages"] for row in local]
    for column in ("images", "videos", "audios"):
        assert [row[column] for row in rows] == [row.get(column, []) for row in local]
    assert len(set(rows["id"])) == len(local) > 0


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("demo_image", {"images"}),
        ("demo_video", {"videos"}),
        ("demo_audio", {"audios"}),
        ("demo_video_audio", {"videos", "audios"}),
    ],
)
def test_json_is_sharegpt_as_in_the_guide(built: Path, name: str, columns: set[str]) -> None:
    entry = json.loads((built / "dataset_info.json").read_text())[name]
    assert entry == {
        "file_name": f"{name}.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages"} | {column: column for column in columns},
        "tags": TAGS,
    }
    for row in json.loads((built / f"{name}.json").read_text()):
        assert row.keys() == {"messages"} | columns
        assert all(message.keys() == {"role", "content"} for message in row["messages"])
        text = "".join(message["content"] for message in row["messages"])
        for column in columns:
            assert text.count(f"<{column[:-1]}>") == len(row[column])
            assert all((built.parent / "demo" / "media" / path).is_file() for path in row[column])


def test_the_ledger_accounts_for_every_row(built: Path) -> None:
    entries = [json.loads(line) for line in (built / "ledger.jsonl").read_text().splitlines()]
    assert [(entry["dataset"], entry["action"]) for entry in entries] == [
        ("demo_image", "dropped"),
        ("demo_image", "changed"),
        ("demo_image", "dropped"),
        ("demo_image", "left"),
    ]
    assert entries[-1]["reason"] == "fields not carried over: id (2 rows)"
    assert all(entry["reason"] and entry["source"] for entry in entries)


def test_the_manifest_is_last_and_its_hashes_hold(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_text())
    found = contents(built)
    del found["manifest.json"]
    assert {name: value["sha256"] for name, value in manifest["files"].items()} == found
    media = built / manifest["media_root"]
    for dataset in manifest["datasets"].values():
        for path, value in dataset["media"].items():
            assert hashlib.sha256((media / path).read_bytes()).hexdigest() == value["sha256"]
    written = [path for path in built.rglob("*") if path.is_file()]
    assert max(written, key=lambda path: path.stat().st_mtime_ns).name == "manifest.json"


def test_a_build_is_clean_for_the_check(built: Path) -> None:
    report = check(built)
    assert report.errors == 0 and {dataset.name for dataset in report.datasets} == set(NAMES)


def test_the_same_sources_give_the_same_bytes(recipe: Path) -> None:
    assert main(["build", str(recipe)]) == 0
    once = contents(recipe.parent / "out")
    assert main(["build", str(recipe)]) == 0
    assert contents(recipe.parent / "out") == once


def test_foreign_entries_and_files_stay(recipe: Path) -> None:
    out = recipe.parent / "out"
    out.mkdir()
    theirs = {"file_name": "theirs.json", "formatting": "sharegpt", "note": ["kept", 1]}
    (out / "dataset_info.json").write_text(json.dumps({"theirs": theirs, "late": {"hf_hub_url": "a/b"}}))
    (out / "theirs.json").write_text("[]")
    assert main(["build", str(recipe)]) == 0
    info = json.loads((out / "dataset_info.json").read_text())
    assert list(info) == ["theirs", "late", "cats"] and info["theirs"] == theirs
    assert (out / "theirs.json").read_text() == "[]"
    assert "theirs.json" not in json.loads((out / "manifest.json").read_text())["files"]


def test_what_a_recipe_no_longer_builds_goes_and_only_that(recipe: Path) -> None:
    out = recipe.parent / "out"
    assert main(["build", str(recipe)]) == 0
    (out / "notes.md").write_text("mine")
    recipe.write_text(recipe.read_text().replace("cats", "pets"))
    assert main(["build", str(recipe)]) == 0
    assert list(json.loads((out / "dataset_info.json").read_text())) == ["pets"]
    assert not (out / "cats.json").exists() and not (out / "arrow" / "cats").exists()
    assert (out / "notes.md").read_text() == "mine"


def test_a_build_that_fails_leaves_the_old_one(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(recipe)]) == 0
    before = contents(recipe.parent / "out")
    (recipe.parent / "rows.jsonl").write_text('{"caption": "x"}\n{oops\n')
    assert main(["build", str(recipe)]) == 2
    assert "rows.jsonl:2" in capsys.readouterr().err
    assert contents(recipe.parent / "out") == before
    assert sorted(path.name for path in recipe.parent.iterdir() if path.name.startswith(".out")) == [
        ".out.lock",
        ".out.work",
    ]


def test_a_broken_dataset_info_is_not_overwritten(recipe: Path) -> None:
    (recipe.parent / "out").mkdir()
    (recipe.parent / "out" / "dataset_info.json").write_text("{")
    assert main(["build", str(recipe)]) == 2
    assert contents(recipe.parent / "out").keys() == {"dataset_info.json"}


# The process says on stdout when it has come to a point, and waits there to be killed.
HALT = """
import sys, time
from pathlib import Path
from curate.cli import main
from curate.writers import {module} as module

def halting(*args, **kwargs):
    {before}
    print("here", flush=True)
    time.sleep(60)

real = module.{name}
module.{name} = halting
main(["build", sys.argv[1]])
"""
POINTS = {
    "while rows are written": ("parts", "write_dataset", ""),
    "before the manifest": ("manifest", "write_manifest", ""),
    "after the manifest": ("manifest", "write_manifest", "real(*args, **kwargs)"),
    "before the exchange": ("atomic", "commit", ""),
    "after the exchange": ("atomic", "exchange", "real(*args, **kwargs)"),
}


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_a_whole_build_stands(point: str, recipe: Path) -> None:
    module, name, before = POINTS[point]
    out = recipe.parent / "out"
    assert main(["build", str(recipe)]) == 0
    old = contents(out)
    (recipe.parent / "rows.jsonl").write_text('{"file_name": "cat.jpg", "caption": "Another cat."}\n')
    script = HALT.format(module=module, name=name, before=before)
    with subprocess.Popen([sys.executable, "-c", script, str(recipe)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGKILL)
    found = contents(out)
    named = json.loads((out / "manifest.json").read_text())["files"]
    assert {key: found[key] for key in named} == {key: value["sha256"] for key, value in named.items()}
    assert (found == old) is (point != "after the exchange")
    assert main(["build", str(recipe)]) == 0, "what the dead process left is cleared"
    assert "Another cat." in (out / "cats.json").read_text()
    hidden = sorted(path.name for path in recipe.parent.iterdir() if path.name.startswith("."))
    assert hidden == [".out.lock", ".out.work"]


def test_without_an_exchange_the_old_folder_comes_back(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert main(["build", str(recipe)]) == 0
    old = contents(tmp_path / "out")
    monkeypatch.setattr(atomic, "exchange", lambda one, other: False)
    assert main(["build", str(recipe)]) == 0
    assert contents(tmp_path / "out") == old
    (tmp_path / "out").rename(tmp_path / ".out.old")  # where a kill between the two renames leaves it
    atomic.recover(tmp_path / "out")
    assert contents(tmp_path / "out") == old


def test_two_builds_do_not_write_one_target(tmp_path: Path) -> None:
    holder = "import sys,time,pathlib\nfrom curate.writers.atomic import replacing\n"
    holder += "with replacing(pathlib.Path(sys.argv[1])):\n  print('here', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "here\n"
        with pytest.raises(UsageFault, match="another process writes here"), replacing(tmp_path / "out"):
            pass
        process.kill()
    with replacing(tmp_path / "out") as staging:
        (staging / "x").write_text("x")
    assert (tmp_path / "out" / "x").read_text() == "x"


def test_progress_is_visible_on_long_work(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from curate.progress import Progress

    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = Progress()
    for number in range(5):
        now[0] += 1
        progress("cats", number)
    assert capsys.readouterr().err == "cats: 2 rows\n"


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [{"role": "bot", "content": "x"}]},
        {"messages": [{"role": "user", "content": ""}]},
        {"images": ["/etc/passwd"]},
        {"videos": ["a/../../b.mp4"]},
        {"audios": [""]},
        {"audios": [None]},
    ],
)
def test_the_schema_refuses_what_is_not_canonical(change: dict[str, object]) -> None:
    row: dict[str, object] = {"id": "1", "messages": [{"role": "user", "content": "x"}], "images": ["a/b.jpg"]}
    validate(pa.RecordBatch.from_pylist([row], schema=canonical_schema()))
    with pytest.raises(SchemaError):
        validate(pa.RecordBatch.from_pylist([row, row | change], schema=canonical_schema()))
