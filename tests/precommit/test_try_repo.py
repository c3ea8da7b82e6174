"""The hooks as users get them: a real `pre-commit try-repo` on a clone of this checkout, and an installed config.

try-repo makes its environment anew each time, so one call of it runs all hooks; the other tests share one install.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from curate.writers.dataset_info import entry
from curate.writers.form import Form
from tests.conftest import ROOT
from validators.model import MediaKind

PRE_COMMIT = Path(sys.executable).with_name("pre-commit")
GOOD = {
    "messages": [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": "A cat."}],
    "images": ["cat.jpg"],
}
OTHER = GOOD | {
    "messages": [{"role": "user", "content": "<image>Who?"}, {"role": "assistant", "content": "A cat."}],
}
BAD = GOOD | {"images": []}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Hooks:
    """A clone that offers the hooks, and pre-commit's cache."""

    clone: Path
    cache: Path

    def environment(self) -> dict[str, str]:
        return os.environ | {"PRE_COMMIT_HOME": str(self.cache)}

    def pre_commit(self, repo: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PRE_COMMIT, *arguments], cwd=repo, env=self.environment(), capture_output=True, text=True, check=False
        )

    def run(self, repo: Path, hook: str, files: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return self.pre_commit(repo, "run", hook, "--verbose", "--files", *files)


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Hooks:
    folder = tmp_path_factory.mktemp("hooks")
    clone = folder / "mmcurate"
    names = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    git(clone, "init", "-q")
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "as it is")
    return Hooks(clone, folder / "cache")


@pytest.fixture
def repo(tmp_path: Path, hooks: Hooks) -> Path:
    """A user's repository: data, its dataset_info.json, and JSON that is none of ours."""
    shutil.copy(ROOT / "examples/demo/media/images/1.jpg", tmp_path / "cat.jpg")
    (tmp_path / "package.json").write_text('{"name": "x"}')
    (tmp_path / "cats.json").write_text(json.dumps([GOOD, OTHER]))
    (tmp_path / "dataset_info.json").write_text(json.dumps({"cats": entry("cats.json", Form((MediaKind.IMAGE,)))}))
    wanted = [{"id": "mmcurate-check"}, {"id": "mmcurate-dataset-info"}, {"id": "mmcurate-fix"}]
    source = {"repo": str(hooks.clone), "rev": git(hooks.clone, "rev-parse", "HEAD").strip(), "hooks": wanted}
    (tmp_path / ".pre-commit-config.yaml").write_text(json.dumps({"repos": [source]}))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "data")
    return tmp_path


def test_try_repo_runs_all_hooks(hooks: Hooks, repo: Path) -> None:
    done = hooks.pre_commit(repo, "try-repo", str(hooks.clone), "--verbose", "--all-files")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Passed") == 3 and done.stdout.count("2 rows in → 2 reach the loss") == 2


def test_sound_data_pass_and_other_json_is_left_alone(hooks: Hooks, repo: Path) -> None:
    done = hooks.run(repo, "mmcurate-check", ["cats.json", "package.json"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout and "2 rows in → 2 reach the loss" in done.stdout


def test_a_bad_row_fails_the_commit_with_its_place(hooks: Hooks, repo: Path) -> None:
    (repo / "cats.json").write_text(json.dumps([GOOD, BAD]))
    git(repo, "add", "-A")
    done = hooks.run(repo, "mmcurate-check", ["cats.json"])
    assert done.returncode == 1 and "Failed" in done.stdout, done.stdout + done.stderr
    assert "TAG201" in done.stdout and "row 1" in done.stdout


def test_dataset_info_is_checked_by_its_own_hook(hooks: Hooks, repo: Path) -> None:
    assert hooks.run(repo, "mmcurate-dataset-info", ["dataset_info.json"]).returncode == 0
    assert "no files to check" in hooks.run(repo, "mmcurate-check", ["dataset_info.json"]).stdout
    info = {
        "cats": entry("cats.json", Form((MediaKind.IMAGE,))) | {"columns": {"messages": "messages", "image": "images"}}
    }
    (repo / "dataset_info.json").write_text(json.dumps(info))
    git(repo, "add", "-A")
    done = hooks.run(repo, "mmcurate-dataset-info", ["dataset_info.json"])
    assert done.returncode == 1 and "rename it to 'images'" in done.stdout, done.stdout + done.stderr


def test_the_fix_hook_mends_a_file_in_its_place(hooks: Hooks, repo: Path) -> None:
    roles = [{"role": "human", "content": "<image>And now?"}, {"role": "assistant", "content": "The cat still."}]
    (repo / "cats.json").write_text(json.dumps([GOOD, GOOD | {"messages": roles}]))
    git(repo, "add", "-A")
    done = hooks.run(repo, "mmcurate-fix", ["cats.json", "package.json"])
    assert done.returncode == 1 and "files were modified by this hook" in done.stdout, done.stdout + done.stderr
    assert "row 1  TRN101 fixed (safe): roles: 'human' made 'user'" in done.stdout
    mended = GOOD | {"messages": [roles[0] | {"role": "user"}, roles[1]]}
    assert (repo / "cats.json").read_text() == json.dumps([GOOD, mended])
    assert not list(repo.glob("*.bak"))
    git(repo, "add", "-A")
    assert hooks.run(repo, "mmcurate-fix", ["cats.json"]).returncode == 0


def test_the_hooks_environment_has_no_torch(hooks: Hooks, repo: Path) -> None:
    hooks.run(repo, "mmcurate-check", ["cats.json"])
    packages = {path.name.lower() for path in hooks.cache.glob("repo*/py_env-*/lib/python*/site-packages/*")}
    assert any(name.startswith("mmcurate-") for name in packages) and "polars" in packages
    assert packages.isdisjoint({"torch", "transformers", "llamafactory", "ray", "deepspeed"})
