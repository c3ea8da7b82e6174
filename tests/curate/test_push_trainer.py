"""The pushed data in the real llamafactory: the same tokens, pixels and sound as from the local build."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.curate.hub_server import Hub, running_hub
from tests.curate.push_scaffold import build_demo, in_python, push, run_probe
from train.tiny import make_tiny

pytestmark = pytest.mark.trainer
DOWNLOAD = """
import json, sys
from huggingface_hub import snapshot_download
print(json.dumps(snapshot_download("acme/demo", repo_type="dataset", allow_patterns="files/*", local_dir=sys.argv[1])))
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with running_hub() as running:
        yield running


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, hub: Hub) -> Path:
    build = build_demo(tmp_path_factory.mktemp("trainer"))
    done = push(hub, build)
    assert done.returncode == 0, done.stderr
    make_tiny(build.parent / "model", sorted(build.glob("demo_*.json")))
    return build


def settings(built: Path, dataset: str, dataset_dir: str, media_dir: Path | None = None) -> dict[str, str]:
    given = {"dataset": dataset, "dataset_dir": dataset_dir, "output_dir": str(built.parent / "out")}
    given["model_name_or_path"] = str(built.parent / "model")
    return given | ({"media_dir": str(media_dir)} if media_dir else {})


def test_images_inside_parquet_train_like_local_files(built: Path, hub: Hub) -> None:
    media = built.parent / "demo" / "media"
    local = run_probe(hub, built.parent, "tokenized", settings(built, "demo_image", str(built), media))
    pushed = run_probe(hub, built.parent, "tokenized", settings(built, "demo_image", "REMOTE:acme/demo"))
    assert len(local) == len(json.loads((built / "demo_image.json").read_text()))
    assert any(
        path.endswith("data/demo_image/train-00000-of-00001.parquet") for verb, path in hub.requests if verb == "GET"
    )
    assert pushed == local


def test_audio_inside_parquet_is_heard_like_local_files(built: Path, hub: Hub) -> None:
    media = built.parent / "demo" / "media"
    both = "demo_image,demo_audio"
    local = run_probe(hub, built.parent, "heard", settings(built, both, str(built), media))
    pushed = run_probe(hub, built.parent, "heard", settings(built, both, "REMOTE:acme/demo"))
    assert any(sound != local[0][1] for _, sound in local), "rows with and without sound"
    assert pushed == local


def test_videos_train_from_the_plain_files(built: Path, hub: Hub) -> None:
    folder = built.parent / "downloaded"
    in_python(hub, built.parent / "hf", DOWNLOAD, str(folder))
    both = "demo_image,demo_video"
    local = settings(built, both, str(built), built.parent / "demo" / "media")
    pushed = settings(built, both, str(folder / "files"), folder / "files" / "media")
    assert run_probe(hub, built.parent, "tokenized", pushed) == run_probe(hub, built.parent, "tokenized", local)


def test_videos_inside_parquet_cannot_be_trained_on(built: Path, hub: Hub) -> None:
    """Why `files/` exists. When a trainer passes this, videos can go into dataset_info.json like images."""
    parquet = built.parent / "demo_video.parquet"
    parquet.write_bytes(hub.repos["acme/demo"].files["data/demo_video/train-00000-of-00001.parquet"])
    said = run_probe(hub, built.parent, "refused_videos", str(parquet))
    assert len(said) == 2 * len(json.loads((built / "demo_video.json").read_text()))
    assert all(said)
