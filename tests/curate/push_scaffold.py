"""A built demo of one's own, and `curate push` as a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from curate.recipe import read_recipe
from curate.writers.build import write_build
from tests.curate.hub_server import TOKEN, Hub

ROOT = Path(__file__).resolve().parents[2]


def build_demo(folder: Path) -> Path:
    """Copy the demo's raw data below `folder` and build it there; returns the build output."""
    shutil.copytree(ROOT / "examples" / "demo", folder / "demo")
    write_build(read_recipe(folder / "demo" / "recipe.yaml", folder / "built"), lambda _name, _rows: None)
    return folder / "built"


def hub_environment(hub: Hub, home: Path, token: str | None = TOKEN) -> dict[str, str]:
    """The surroundings of a process that knows this hub only."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    given = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    return kept | given | ({"HF_TOKEN": token} if token else {})


def push(hub: Hub, build: Path, *words: str, token: str | None = TOKEN) -> subprocess.CompletedProcess[str]:
    """`curate push BUILD acme/demo …`."""
    command = [sys.executable, "-m", "curate.cli", "push", str(build), *(words or ("acme/demo",))]
    home = build.parent / "hf"
    env = hub_environment(hub, home, token)
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def in_python(hub: Hub, home: Path, code: str, *words: str) -> Any:
    """Run code in a process that knows this hub only; its last line of output is JSON."""
    command = [sys.executable, "-c", code, *words]
    env = hub_environment(hub, home) | {"DISABLE_VERSION_CHECK": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, cwd=home.parent, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def run_probe(hub: Hub, folder: Path, verb: str, argument: object) -> list[object]:
    """Run the trainer probe; see there."""
    words = argument if isinstance(argument, str) else json.dumps(argument)
    code = "import runpy, sys; runpy.run_module('tests.curate.trainer_probe', run_name='__main__')"
    found = in_python(hub, folder / "hf", code, verb, words)
    assert isinstance(found, list)
    return found
