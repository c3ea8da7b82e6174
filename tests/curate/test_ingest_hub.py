"""A dataset on the Hub by its name, through the real `datasets` library and a hub of our own."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.curate.hub_server import STRANGER, TOKEN, Hub, Repo, running_hub
from tests.curate.make_samples import SAMPLES
from tests.curate.push_scaffold import ROOT, hub_environment

RED = (SAMPLES / "media" / "red.jpg").read_bytes()
BLUE = (SAMPLES / "media" / "blue.png").read_bytes()
OLD = "1" * 40
SCRIPT = """
import contextlib, io, json, os, sys
from curate.cli import main
results = []
for recipe, token in json.loads(sys.argv[1]):
    os.environ.pop("HF_TOKEN", None)
    os.environ.update({"HF_TOKEN": token} if token else {})
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["build", recipe])
    results.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(results))
"""


def parquet(*rows: tuple[bytes, str]) -> bytes:
    """Pictures and captions as `push_to_hub` writes them: bytes inside, features in the schema."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": data, "path": None} for data, _ in rows], kind)
    features = {"image": {"_type": "Image"}, "caption": {"dtype": "string", "_type": "Value"}}
    table = pa.table({"image": images, "caption": [caption for _, caption in rows]})
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}), out)
    return out.getvalue()


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    name = "data/{}-00000-of-00001.parquet"
    files = {
        "README.md": b"---\nlicense: mit\n---\n",
        name.format("train"): parquet((RED, "Red."), (BLUE, "Blue.")),
        name.format("test"): parquet((BLUE, "Test.")),
    }
    with running_hub() as running:
        running.repos["acme/pictures"] = Repo(
            files=files, earlier={OLD: files | {name.format("train"): parquet((BLUE, "Once."))}}
        )
        running.repos["acme/private"] = Repo(private=True, files=files)
        running.repos["acme/gated"] = Repo(gated=True, files=files)
        yield running


def build(hub: Hub, folder: Path, *wanted: tuple[dict[str, object], str | None]) -> list[tuple[int, str, str]]:
    """Build from each source with a token or none, in one process that knows this hub only: code, output, errors."""
    recipes = []
    for number, (source, token) in enumerate(wanted):
        recipe = folder / f"{number}" / "recipe.yaml"
        recipe.parent.mkdir()
        datasets = [{"name": "data", "sources": [{"format": "datasets"} | source]}]
        recipe.write_text(json.dumps({"version": 1, "target": "out", "datasets": datasets}))
        recipes.append((str(recipe), token))
    env = hub_environment(hub, folder / "hf", None) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, json.dumps(recipes)]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return [tuple(result) for result in json.loads(done.stdout.splitlines()[-1])]


def captions(folder: Path, number: int) -> list[str]:
    rows = json.loads((folder / str(number) / "out" / "data.json").read_text())
    return [row["messages"][-1]["content"] for row in rows]


def test_a_name_on_the_hub_becomes_a_build(hub: Hub, tmp_path: Path) -> None:
    hub.requests.clear()
    results = build(
        hub,
        tmp_path,
        ({"path": "acme/pictures"}, None),
        ({"path": "acme/pictures", "revision": OLD}, None),
        ({"path": "acme/pictures", "split": "all"}, None),
        ({"path": "acme/private"}, TOKEN),
        ({"path": "acme/gated"}, TOKEN),
    )
    assert [code for code, _, _ in results] == [0] * 5, results
    found = [captions(tmp_path, number) for number in range(5)]
    both = ["Red.", "Blue."]
    assert [found[0], found[1], found[3], found[4]] == [both, ["Once."], both, both]
    assert sorted(found[2]) == ["Blue.", "Red.", "Test."]
    assert "acme/pictures: not read: split test" in results[0][1]
    digests = [hashlib.sha256(data).hexdigest() for data in (RED, BLUE)]
    stored = sorted(path.stem for path in (tmp_path / "0" / "out" / "media").rglob("*.*"))
    assert stored == sorted(digests)
    # each dataset is looked up once, however often it is read: a commit that comes meanwhile mixes nothing
    asked = [path for _, path in hub.requests if path.endswith("/acme/gated/resolve/main/README.md")]
    assert 1 <= len(asked) <= 2


def test_what_cannot_be_read_is_told_with_what_to_do(hub: Hub, tmp_path: Path) -> None:
    cases = [
        ("acme/none", None, None, "doesn't exist", "where it is private, set HF_TOKEN, or run `hf auth login`"),
        ("acme/none", None, STRANGER, "doesn't exist", "whether the token may read it"),
        ("acme/private", None, None, "cannot be accessed", "where it is private, set HF_TOKEN"),
        ("acme/gated", None, None, "gated", f"{hub.url}/datasets/acme/gated, then set HF_TOKEN"),
        ("acme/gated", None, STRANGER, "gated", f"ask for access at {hub.url}/datasets/acme/gated\n"),
        ("acme/pictures", "v9", None, "'v9'", "a branch, a tag or the id of a commit"),
    ]
    wanted = [({"path": name} | ({"revision": at} if at else {}), token) for name, at, token, _, _ in cases]
    results = build(hub, tmp_path, *wanted)
    for (name, _, token, reason, cure), (code, _, error) in zip(cases, results, strict=True):
        assert code == 2 and f"{name}: cannot be loaded by datasets: " in error, error
        assert reason in error and cure in error and "Traceback" not in error, error
        assert token is None or token not in error
    assert not list(tmp_path.glob("*/out"))
