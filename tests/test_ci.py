from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RECORD = '#!/bin/sh\nfor word in "$@"; do printf "%s\\n" "$word"; done > "$RECORD"\nexit ${CODE:-0}\n'
# docs.github.com, "Metadata syntax for GitHub Actions": what a composite action must and may have
REQUIRED = {"name", "description", "runs"}
ALLOWED = REQUIRED | {"author", "inputs", "outputs", "branding"}
STEP = {"name", "id", "if", "uses", "with", "run", "shell", "env", "working-directory", "continue-on-error"}


@pytest.fixture(scope="module")
def action(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / "action.yml").read_text())


def script(action: dict[str, Any], name: str) -> str:
    return next(step["run"] for step in action["runs"]["steps"] if step["name"] == name)


def play(text: str, folder: Path, **variables: str) -> tuple[int, list[str], str]:
    """Run a step as the runner does; its exit code, the words that the recorder got, and the step's outputs."""
    output, record = folder / "output", folder / "record"
    output.write_text("")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text],
        env={
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
            "RUNNER_TEMP": str(folder),
            "GITHUB_OUTPUT": str(output),
            "RECORD": str(record),
            **variables,
        },
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode, record.read_text().splitlines() if record.exists() else [], output.read_text()


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """A runner's folder in which curate and python record their arguments."""
    for name in ("mmcurate/bin/curate", "mmcurate/bin/python", "bin/python"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(RECORD)
        file.chmod(0o755)
    return tmp_path


def test_the_action_has_what_its_schema_demands(action: dict[str, Any]) -> None:
    """Required keys are there, no unknown ones, each run step names its shell, and only declared inputs are used."""
    assert set(action) >= REQUIRED and set(action) <= ALLOWED
    assert action["runs"]["using"] == "composite"
    assert {"targets", "args", "version", "baseline"} <= set(action["inputs"])
    assert all({"description", "required"} <= set(value) for value in action["inputs"].values())
    assert all({"description", "value"} == set(value) for value in action["outputs"].values())
    ids = set()
    for step in action["runs"]["steps"]:
        assert set(step) <= STEP and ("run" in step) != ("uses" in step)
        assert "shell" in step if "run" in step else re.search(r"@\S+$", step["uses"])
        ids.add(step.get("id"))
    text = yaml.safe_dump(action)
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(action["inputs"])
    assert set(re.findall(r"steps\.(\w+)\.outputs", text)) <= ids


def test_no_input_becomes_text_of_a_script(action: dict[str, Any]) -> None:
    """Expressions stand in env and with alone: a target's name cannot run commands."""
    assert all("${{" not in step.get("run", "") for step in action["runs"]["steps"])


def test_the_action_calls_check_with_its_inputs(action: dict[str, Any], runner: Path) -> None:
    """Targets come one a line, spaces and dollars in them unharmed; args are read as a shell reads them."""
    code, words, output = play(
        script(action, "curate check"),
        runner,
        TARGETS="train/a b.yaml\n\n  \n$(touch owned).json\n",
        ARGS="--ignore TAG201 --media-dir 'my media'",
        BASELINE="base line.json",
        CODE="1",
    )
    assert code == 1 and output == "exit-code=1\n" and not (runner / "owned").exists()
    before = ["check", "--output-format", "github", "--ignore", "TAG201", "--media-dir", "my media"]
    assert words == [*before, "--baseline", "base line.json", "--", "train/a b.yaml", "$(touch owned).json"]
    code, words, output = play(script(action, "curate check"), runner, TARGETS="x.yaml", ARGS="", BASELINE="")
    assert (code, words, output) == (0, ["check", "--output-format", "github", "--", "x.yaml"], "exit-code=0\n")
    (runner / "record").unlink()
    code, words, _ = play(script(action, "curate check"), runner, TARGETS="x", ARGS="--ignore 'open", BASELINE="")
    assert code != 0 and words == []


def test_the_action_installs_a_release_or_itself(action: dict[str, Any], runner: Path) -> None:
    """With a version the release is installed, without one the action's own checkout; never the train extra."""
    text = script(action, "Install mmcurate")
    assert play(text, runner, VERSION="0.1.0", ACTION="/action")[1][-1] == "mmcurate==0.1.0"
    assert play(text, runner, VERSION="", ACTION="/the action")[1][-1] == "/the action"


def test_the_documents_snippets_are_valid(root: Path, action: dict[str, Any]) -> None:
    """The workflow passes inputs that the action has, GitLab's job leaves a code quality report, hooks exist."""
    text = (root / "docs" / "ci.md").read_text()
    workflow, gitlab, hooks = (yaml.safe_load(block) for block in FENCE.findall(text))
    uses = next(step for step in workflow["jobs"]["check"]["steps"] if "mmcurate" in step["uses"])
    assert set(uses["with"]) <= set(action["inputs"])
    assert all(f"| `{name}` |" in text for name in action["inputs"])
    job = gitlab["data"]
    report = job["artifacts"]["reports"]["codequality"]
    assert job["script"][-1].endswith(f"> {report}") and job["artifacts"]["when"] == "always"
    known = {hook["id"] for hook in yaml.safe_load((root / ".pre-commit-hooks.yaml").read_text())}
    assert {hook["id"] for hook in hooks["repos"][0]["hooks"]} <= known
