"""A data folder of its own, and a uv that installs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from validators.llamafactory.environment.store import MARK, lock_of, path_of

UV = """#!{python} -P
import os, pathlib, signal, sys
place = pathlib.Path(os.environ["UV_LOG"])
with place.open("a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
end = os.environ.get("UV_END", "")
if sys.argv[1] == "venv":
    (pathlib.Path(sys.argv[-1]) / "bin").mkdir(parents=True)
    (pathlib.Path(sys.argv[-1]) / "bin" / "python").touch()
elif end == "kill":
    os.kill(os.getppid(), signal.SIGKILL)
elif end:
    sys.exit(int(end))
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of made environments: empty."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "mmcurate" / "environments"


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A uv on PATH that makes folders and writes its words to the file that this gives."""
    program = tmp_path / "programs" / "uv"
    program.parent.mkdir()
    program.write_text(UV.replace("{python}", sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("UV_LOG", str(tmp_path / "uv.log"))
    return tmp_path / "uv.log"


def thin_environment(folder: Path, site: Path | None) -> Path:
    """A Python of its own in `folder` that sees the packages of `site`, or none."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    inner = next(folder.glob("lib/python*/site-packages"))
    if site is not None:
        (inner / "wrapped.pth").write_text("".join(f"{each}\n" for each in sys.path if each.endswith("-packages")))
    return folder / "bin" / "python"


def register(name: str) -> Path:
    """A thin environment over this one's packages in the place of a locked one; its Python."""
    place = path_of(name)
    python = thin_environment(place, Path(sys.prefix))
    mark = {"name": name, "lock": "0" * 64, "of": lock_of(name).name}
    (place / MARK).write_text(json.dumps(mark))
    return python
