from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.curate.hub_server import TOKEN, Hub, running_hub
from tests.curate.push_scaffold import build_demo, in_python, push

LOAD = """
import hashlib, json, sys
from datasets import load_dataset
from datasets import Image, List
def digest(item):
    return hashlib.sha256(item if isinstance(item, bytes) else item["bytes"]).hexdigest()
def row_of(row):
    kinds = [kind for kind in ("images", "videos", "audios") if kind in row]
    return {"messages": row["messages"], **{kind: [digest(item) for item in row[kind]] for kind in kinds}}
tables = {name: load_dataset("acme/demo", name, split="train") for name in sys.argv[1:]}
decoded = tables["demo_image"].cast_column("images", List(Image()))
sizes = [image.size for row in decoded for image in row["images"]]
print(json.dumps([{name: [row_of(row) for row in table] for name, table in tables.items()}, sizes]))
"""
NAMES = ("demo_image", "demo_video", "demo_audio", "demo_video_audio")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as running:
        yield running


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("push")
    build_demo(folder)
    return folder


@pytest.fixture
def built(stock: Path, tmp_path: Path) -> Path:
    shutil.copytree(stock, tmp_path / "own")
    return tmp_path / "own" / "built"


def test_pushed_rows_load_with_datasets_and_hold_the_media_byte_for_byte(built: Path, hub: Hub) -> None:
    done = push(hub, built)
    assert (done.returncode, hub.url in done.stdout) == (0, True), done.stderr
    assert len(hub.repos["acme/demo"].commits) == 2, "one commit on top of the empty one"
    media = built.parent / "demo" / "media"
    loaded, sizes = in_python(hub, built.parent / "hf", LOAD, *NAMES)
    for name in NAMES:
        local = json.loads((built / f"{name}.json").read_text())
        for row in local:
            for kind in {"images", "videos", "audios"} & set(row):
                row[kind] = [hashlib.sha256((media / path).read_bytes()).hexdigest() for path in row[kind]]
        assert loaded[name] == local
    assert len(sizes) >= len(loaded["demo_image"])


def test_the_card_and_the_entries_describe_what_was_pushed(built: Path, hub: Hub) -> None:
    assert push(hub, built).returncode == 0
    files = hub.repos["acme/demo"].files
    front = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    assert {item["config_name"] for item in front["configs"]} == set(NAMES)
    assert front["task_categories"] == ["image-text-to-text", "video-text-to-text", "audio-text-to-text"]
    assert front["size_categories"] == ["n<1K"]
    entries = json.loads(files["dataset_info.json"])
    assert set(entries) == {"demo_image", "demo_audio"}, "what LLaMA-Factory can train from parquet"
    assert entries["demo_image"]["hf_hub_url"] == "acme/demo"
    assert entries["demo_image"]["subset"] == "demo_image"
    assert entries["demo_image"]["columns"] == {"messages": "messages", "images": "images"}
    assert set(json.loads(files["files/dataset_info.json"])) == set(NAMES)
    for name in NAMES:
        for row in json.loads(files[f"files/{name}.json"]):
            for kind in {"images", "videos", "audios"} & set(row):
                assert all(f"files/media/{path}" in files for path in row[kind])


def test_a_second_push_of_the_same_makes_no_commit(built: Path, hub: Hub) -> None:
    assert push(hub, built).returncode == 0
    commits = list(hub.repos["acme/demo"].commits)
    assert push(hub, built).returncode == 0
    assert hub.repos["acme/demo"].commits == commits


def test_leftovers_of_an_earlier_push_go_and_the_owners_files_stay(built: Path, hub: Hub) -> None:
    assert push(hub, built).returncode == 0
    files = hub.repos["acme/demo"].files
    files["data/demo_image/train-00001-of-00002.parquet"] = b"a shard of an earlier, larger push"
    files["files/media/old.jpg"] = b"old"
    files["notes/own.txt"] = b"mine"
    files["README.md"] = b"---\nlicense: mit\nsize_categories: [n>10M]\n---\n# My words\n"
    assert push(hub, built).returncode == 0
    files = hub.repos["acme/demo"].files
    assert "data/demo_image/train-00001-of-00002.parquet" not in files
    assert "files/media/old.jpg" not in files
    assert files["notes/own.txt"] == b"mine"
    readme = files["README.md"].decode()
    front = yaml.safe_load(readme.split("---\n")[1])
    assert (front["license"], front["size_categories"]) == ("mit", ["n<1K"])
    assert "# My words" in readme
    assert readme.count("## Load with datasets") == 1


def test_dry_run_lists_all_that_a_push_sends_and_sends_nothing(built: Path, hub: Hub) -> None:
    done = push(hub, built, "acme/demo", "--dry-run", token=None)
    assert (done.returncode, hub.requests) == (0, []), done.stderr
    listed = {line.split()[-1] for line in done.stdout.splitlines()[1:-1]}
    assert push(hub, built).returncode == 0
    assert listed == set(hub.repos["acme/demo"].files)


def test_a_private_repository_is_made_private(built: Path, hub: Hub) -> None:
    assert push(hub, built, "acme/demo", "--private").returncode == 0
    assert hub.repos["acme/demo"].private


def test_a_build_with_errors_is_not_pushed(built: Path, hub: Hub) -> None:
    rows = json.loads((built / "demo_image.json").read_text())
    rows[0]["messages"][0]["content"] = "No tag any more."
    (built / "demo_image.json").write_text(json.dumps(rows))
    done = push(hub, built)
    assert done.returncode == 1
    assert "TAG" in done.stderr
    assert "nothing was sent" in done.stderr
    assert hub.requests == []


def test_a_build_that_was_edited_is_not_pushed(built: Path, hub: Hub) -> None:
    rows = json.loads((built / "demo_image.json").read_text())
    (built / "demo_image.json").write_text(json.dumps(rows[1:]))
    done = push(hub, built)
    assert_fault(done.returncode, done.stderr, "changed since the build", "run curate build again")
    assert hub.writes == []


def test_media_changed_since_the_build_are_not_pushed(built: Path, hub: Hub) -> None:
    media = built.parent / "demo" / "media" / "images"
    shutil.copy(media / "1.jpg", media / "2.jpg")
    done = push(hub, built)
    assert_fault(done.returncode, done.stderr, "2.jpg", "changed since the build")
    assert hub.writes == []


def test_a_media_link_out_of_the_root_is_not_followed(built: Path, hub: Hub, tmp_path: Path) -> None:
    media = built.parent / "demo" / "media" / "images"
    (media / "1.jpg").rename(tmp_path / "secret.jpg")
    (media / "1.jpg").symlink_to(tmp_path / "secret.jpg")
    assert push(hub, built).returncode != 0
    assert hub.writes == []


@pytest.mark.parametrize("repo", ["demo", "acme/demo/more", "acme/..", "acme/de mo", "--x/y"])
def test_a_bad_repository_name_is_a_fault(built: Path, hub: Hub, repo: str) -> None:
    done = push(hub, built, repo) if not repo.startswith("-") else push(hub, built, "--", repo)
    assert_fault(done.returncode, done.stderr, repo, "org/name")
    assert hub.requests == []


def test_a_folder_that_is_no_build_is_a_fault(built: Path, hub: Hub) -> None:
    done = push(hub, built / "arrow")
    assert_fault(done.returncode, done.stderr, "manifest.json", "curate build")
    (built / "manifest.json").write_text("{")
    done = push(hub, built)
    assert_fault(done.returncode, done.stderr, "not JSON")
    assert_fault((done := push(hub, built / "nowhere")).returncode, done.stderr, "no such folder")


def test_a_manifest_that_points_out_of_the_build_is_a_fault(built: Path, hub: Hub) -> None:
    manifest = json.loads((built / "manifest.json").read_text())
    manifest["datasets"]["demo_image"]["arrow"] = "../../elsewhere"
    (built / "manifest.json").write_text(json.dumps(manifest))
    done = push(hub, built)
    assert_fault(done.returncode, done.stderr, "../../elsewhere", "leaves")


def test_no_token_and_a_wrong_token_say_what_to_do(built: Path, hub: Hub) -> None:
    done = push(hub, built, token=None)
    assert_fault(done.returncode, done.stderr, "no token", "HF_TOKEN")
    done = push(hub, built, token="hf_wrong_one")
    assert_fault(done.returncode, done.stderr, "refused (401)", "hf auth login")
    assert "hf_wrong_one" not in done.stdout + done.stderr
    assert hub.writes == []


@pytest.mark.parametrize(
    ("part", "status", "words"),
    [
        ("/api/repos/create", 403, "may not write here (403)"),
        ("/commit/", 500, "answered 500"),
        ("/lfs/objects/batch", 413, "too large"),
        ("/api/repos/create", 429, "too many requests"),
    ],
)
def test_a_refusal_of_the_server_is_one_message(built: Path, hub: Hub, part: str, status: int, words: str) -> None:
    hub.failing[part] = status
    done = push(hub, built)
    assert_fault(done.returncode, done.stderr, words, "acme/demo")
    assert TOKEN not in done.stdout + done.stderr
    assert hub.repos.get("acme/demo") is None or hub.repos["acme/demo"].files == {}


def test_no_connection_is_one_message(built: Path, hub: Hub) -> None:
    done = push(hub, built, "acme/demo", "--endpoint", "http://127.0.0.1:9")
    assert_fault(done.returncode, done.stderr, "no connection", "HF_ENDPOINT")


def assert_fault(code: int, stderr: str, *words: str) -> None:
    """One message, exit code 2, no traceback."""
    assert code == 2, stderr
    assert "Traceback" not in stderr
    assert stderr.count("curate: error:") == 1
    for word in words:
        assert word in stderr, stderr
