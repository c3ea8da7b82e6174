"""Media are read, shown, built and mended whatever they are called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from curate.cli import main
from tests.media_names import BEYOND_UNICODE, NAMES, make_sources, spread
from validators.model import MediaKind
from validators.previews.make import MAKERS, open_regular
from validators.probes.cache import ProbeCache
from validators.probes.facts import Health

CHECK = ["check", "dataset_info.json:data", "--media-dir", "media"]
ASCII_ONLY = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "utf-8"}


def write_rows(folder: Path, media: dict[MediaKind, list[str]]) -> Path:
    """One row a medium, in data.jsonl."""
    rows = []
    for kind, paths in media.items():
        for number, path in enumerate(paths):
            turns = [
                {"role": "user", "content": f"{kind.tag}What is number {number}?"},
                {"role": "assistant", "content": f"The {kind} with number {number}."},
            ]
            rows.append({"messages": turns, kind.column: [path]})
    file = folder / "data.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    columns = {"messages": "messages"} | {kind.column: kind.column for kind in media}
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    entry = {"file_name": file.name, "formatting": "sharegpt", "columns": columns, "tags": tags}
    (folder / "dataset_info.json").write_text(json.dumps({"data": entry}))
    return file


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[MediaKind, list[str]]:
    """A media root `media` with files of all kinds under all names; the rows that name them are in data.jsonl."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "media").mkdir()
    sources = make_sources(tmp_path)
    paths = {
        kind: [f"{kind}/{path}" for path in spread(sources[kind], tmp_path / "media" / kind)] for kind in MediaKind
    }
    write_rows(tmp_path, paths)
    return paths


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("kind", MediaKind)
def test_each_name_is_probed(kind: MediaKind, whole: bool, tmp_path: Path) -> None:
    source = make_sources(tmp_path)[kind]
    probes = ProbeCache(whole)
    for path in spread(source, tmp_path / "media", NAMES + BEYOND_UNICODE):
        facts = probes.facts(kind, path, tmp_path / "media")
        refused = kind is MediaKind.AUDIO and path.startswith(BEYOND_UNICODE)  # by torchcodec
        assert facts.health is (Health.UNREADABLE if refused else Health.OK), (path, facts)


@pytest.mark.parametrize("kind", MediaKind)
def test_each_name_has_a_preview(kind: MediaKind, tmp_path: Path) -> None:
    source = make_sources(tmp_path)[kind]
    for path in spread(source, tmp_path / "media", NAMES + BEYOND_UNICODE):
        with open_regular(str(tmp_path / "media" / path)) as file:
            assert MAKERS[kind](file) is not None, path


@pytest.mark.parametrize("mode", ["reference", "copy", "hardlink", "store"])
def test_a_build_keeps_each_name(
    named: dict[MediaKind, list[str]], mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = sum(len(paths) for paths in named.values())
    Path("recipe.yaml").write_text(
        f"version: 1\ntarget: out\nmedia_root: media\nmedia: {mode}\n"
        "datasets: [{name: d, sources: [{format: openai, path: data.jsonl}]}]\n"
    )
    assert main(["build", "recipe.yaml"]) == 0
    assert f"{rows} rows in, {rows} kept" in capsys.readouterr().out
    main(["check", "out"])
    assert f"{rows} rows in → {rows} reach the loss" in capsys.readouterr().out
    assert main(["view", "out"]) == 0 and main(["stats", "out"]) == 0


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_the_locale_changes_nothing(named: dict[MediaKind, list[str]], locale: str) -> None:
    rows = sum(len(paths) for paths in named.values())
    env = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    ran = run(CHECK, env | {"LANG": locale, "LC_ALL": locale})
    assert not ran.stderr and f"{rows} rows in → {rows} reach the loss" in ran.stdout, ran


def test_an_ascii_file_system_finds_the_ascii_names(named: dict[MediaKind, list[str]]) -> None:
    """Without UTF-8 mode such a Python cannot spell the other names, for the trainer neither: they are missing."""
    ran = run(CHECK, dict(os.environ) | ASCII_ONLY)
    rows = sum(len(paths) for paths in named.values())
    found = sum(path.isascii() for paths in named.values() for path in paths)
    assert ran.returncode == 1 and not ran.stderr, ran.stderr
    assert f"{rows} rows in → {found} reach the loss" in ran.stdout, ran.stdout[-2000:]


def run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`curate` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "curate.cli", *command], env=env, capture_output=True, encoding="utf-8", check=False
    )


def test_a_mended_copy_has_a_name_that_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turned pictures of all names are mended beside the originals, also where NAME.fixed would be too long."""
    monkeypatch.chdir(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((64, 48), 90).convert("RGB").save("turned.jpg", exif=exif)
    paths = [path for path in spread(Path("turned.jpg"), tmp_path / "media") if "/" not in path]
    write_rows(tmp_path, {MediaKind.IMAGE: paths})
    main(["fix", "dataset_info.json:data", "--media-dir", "media", "--select", "IMG301"])
    rows = [json.loads(line) for line in Path("data.jsonl").read_text(encoding="utf-8").splitlines()]
    now = [row["images"][0] for row in rows]
    assert not set(now) & set(paths) and len(set(now)) == len(paths)
    assert all((tmp_path / "media" / path).is_file() for path in now)
