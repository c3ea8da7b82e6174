"""Making, listing and removing locked environments: whole, or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from curate import cli
from curate.writers.atomic import locked, staging_of
from tests.train.environments.conftest import register
from train.environments import make as making
from validators.errors import UsageFault
from validators.llamafactory.environment.locked import LOCKED
from validators.llamafactory.environment.store import MARK, is_made, lock_of, path_of

NAME = "transformers-5"
ENV = "from curate.cli import main; raise SystemExit(main(['env', '--make', 'transformers-5']))"


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_an_environment_is_made_from_its_lock_and_marked(
    data: Path, uv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["env", "--make", NAME]) == 0
    assert is_made(NAME) and entries(data) == [path_of(NAME).name]
    mark = json.loads((path_of(NAME) / MARK).read_text())
    assert (mark["name"], mark["transformers"]) == (NAME, "5.5.4")
    assert path_of(NAME).name == f"{NAME}-{mark['lock'][:16]}"
    venv, sync = uv.read_text().splitlines()
    assert venv.startswith("venv") and "--relocatable" in venv and venv.endswith(".staging")
    assert "pip sync" in sync and "--require-hashes" in sync and sync.endswith(str(lock_of(NAME)))
    assert f"ready: LLaMA-Factory 0.9.5, transformers 5.5.4 in the environment {NAME}" in capsys.readouterr().out
    assert cli.main(["env", "--make", NAME]) == 0
    assert len(uv.read_text().splitlines()) == 2, "made once"


def test_nothing_is_left_where_uv_fails(data: Path, uv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_END", "3")
    assert cli.main(["env", "--make", NAME]) == 2
    assert entries(data) == [] and not is_made(NAME)


def test_what_a_killed_make_left_is_not_taken_for_whole_and_is_swept_by_the_next(data: Path, uv: Path) -> None:
    killed = subprocess.run([sys.executable, "-P", "-c", ENV], env=os.environ | {"UV_END": "kill"}, check=False)
    assert killed.returncode == -9
    assert entries(data) == [f".{path_of(NAME).name}.staging"] and not is_made(NAME)
    assert cli.main(["env", "--make", LOCKED[0].name]) == 0
    assert entries(data) == [path_of(LOCKED[0].name).name]
    assert cli.main(["env", "--make", NAME]) == 0
    assert is_made(NAME) and len(entries(data)) == 2


def test_the_second_of_two_at_once_is_told(data: Path, uv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.mkdir(parents=True)
    with locked(path_of(NAME)):
        staging_of(path_of(NAME)).mkdir()
        assert cli.main(["env", "--make", NAME]) == 2
        assert cli.main(["env", "remove", NAME]) == 2
        assert staging_of(path_of(NAME)).is_dir(), "not swept while it is made"
    assert "another process writes here now" in capsys.readouterr().err
    assert cli.main(["env", "--make", NAME]) == 0


def test_a_dry_run_makes_nothing(data: Path, uv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["env", "--make", NAME, "--dry-run"]) == 0
    assert "not made" in capsys.readouterr().out and not uv.exists() and not data.exists()


def test_environments_are_listed_and_removed(data: Path, uv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["env", "--make", NAME])
    for name, marked in ((f"{NAME}-0123456789abcdef", True), ("transformers-4-0123456789abcdef", False)):
        (data / name).mkdir()
        if marked:
            (data / name / MARK).write_text('{"name": "transformers-5", "transformers": "5.5.3"}')
    capsys.readouterr()
    assert cli.main(["env", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["transformers-4", NAME, NAME, "transformers-4", "minicpm-v-4.6"]
    assert "unfinished" in lines[0] and "transformers 5.5.3" in lines[1] and "lock" in lines[1]
    assert "not made" in lines[3] and "not made" in lines[4] and str(path_of(NAME)) in lines[2]
    assert cli.main(["env", "remove", NAME]) == 0
    assert entries(data) == ["transformers-4-0123456789abcdef"]
    assert cli.main(["env", "remove", "transformers-4-0123456789abcdef"]) == 0
    assert entries(data) == []
    assert cli.main(["env", "remove", NAME]) == 2


@pytest.mark.parametrize(
    "words", [[], ["--make", "other"], ["a.yaml", "b.yaml"], ["remove"], ["list", "x"], ["x.yaml", "--model", "m"]]
)
def test_what_cannot_be_meant_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert cli.main(["env", *words]) == 2
    except SystemExit as ended:
        assert ended.code == 2
    assert "error" in capsys.readouterr().err


def test_without_uv_it_is_fetched_by_pip_as_its_lock_names_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, ...]] = []
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(making.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(making.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(UsageFault, match="neither pip nor ensurepip"):
        making.find_uv(print)
    monkeypatch.setattr(making, "pip_command", lambda scratch: ["pip"])
    monkeypatch.setattr(making, "call", lambda *words: called.append(words))
    program = Path(making.find_uv(print))
    assert program.name == "uv" and program.is_relative_to(data.parent)
    words = " ".join(called[0])
    assert "--require-hashes" in words and "--no-deps" in words and words.endswith("locks/uv.txt")


def test_the_mark_of_a_registered_environment_is_read(data: Path) -> None:
    register(NAME)
    assert is_made(NAME)
    assert [(each.name, each.whole, each.current) for each in making.stored()] == [(NAME, True, True)]
