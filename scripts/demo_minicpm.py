"""`make demo-minicpm`: a tiny MiniCPM-V 4.6 trains, in an environment of its own with the transformers that has it.

llamafactory 0.9.5 allows transformers up to 5.6.0, and MiniCPM-V 4.6's classes came with 5.7.0: the environment goes
beyond that bound, and DISABLE_VERSION_CHECK lets the trainer start in it. What the project claims of LLaMA-Factory is
tested with 5.6.0.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "minicpm.txt"
VENV = ROOT / ".venv-minicpm"
UV = ROOT / ".venv" / "uv" / "bin" / "uv"  # from `make setup`


def main() -> int:
    """Fill the environment from its lock unless it is, and run the demo in it."""
    stamp = VENV / "mmcurate.stamp"
    wanted = hashlib.sha256(LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        print("demo-minicpm: installing requirements/minicpm.txt into .venv-minicpm", flush=True)
        venv.create(VENV, with_pip=False)
        python = VENV / "bin" / "python"
        install("sync", "--python", python, "--require-hashes", "--quiet", LOCK)
        install("install", "--python", python, "--quiet", "--no-deps", "--no-build-isolation", "-e", ROOT)
        stamp.write_text(wanted)
    environment = os.environ | {"DISABLE_VERSION_CHECK": "1"}
    command = [VENV / "bin" / "python", ROOT / "scripts" / "demo.py", "minicpm"]
    return subprocess.run(command, env=environment, check=False).returncode


def install(*words: object) -> None:
    """One `uv pip` command."""
    subprocess.run([str(UV), "pip", *map(str, words)], check=True)


if __name__ == "__main__":
    sys.exit(main())
