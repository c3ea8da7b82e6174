"""Run a command in .venv with the packages of another locked environment laid over it: `overlay.py NAME COMMAND …`.

The pins in which NAME's lock differs from requirements/dev.txt, some 120 MB with transformers instead of the 6 GB of
a whole environment, are installed from their hashes into .overlays/NAME, which goes first on PYTHONPATH. A second run
compares a stamp and starts at once. Where the locks do not differ the command runs as it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
OVERLAYS = ROOT / ".overlays"
STAMP = "overlay.stamp"
# `name==version`, its marker and its hashes, as uv writes them
PIN = re.compile(r"^([a-z0-9_.-]+)==[^\\\n]+(?:\\\n +--hash=[^\\\n]+)*", re.MULTILINE)


def main(arguments: list[str]) -> int:
    """The exit code of the command; 2 where there is no such environment, or its packages cannot be had."""
    from validators.llamafactory.environment.locked import LOCKED

    name, command = (arguments[0] if arguments else ""), arguments[1:]
    chosen = next((locked for locked in LOCKED if locked.name == name), None)
    if chosen is None or not command:
        print(f"overlay: usage: overlay.py {{{','.join(each.name for each in LOCKED)}}} COMMAND …", file=sys.stderr)
        return 2
    different = differing(chosen.lock)
    environment = os.environ | chosen.variables
    if different:
        try:
            folder = lay(name, different)
        except subprocess.CalledProcessError as error:
            print(f"overlay: error: `{error.cmd[0]}` ended with {error.returncode}, see above", file=sys.stderr)
            return 2
        environment["PYTHONPATH"] = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(command, env=environment, check=False).returncode


def differing(lock: str) -> str:
    """The requirements, with hashes, of an environment's lock that .venv has in another version or not at all."""
    own = pins((ROOT / "requirements/dev.txt").read_text(encoding="utf-8"))
    other = pins((ROOT / "validators/llamafactory/environment/locks" / lock).read_text(encoding="utf-8"))
    return "\n".join(text for name, text in other.items() if own.get(name, "").split()[:1] != text.split()[:1])


def pins(lock: str) -> Mapping[str, str]:
    """Each package's lines of a lock, by its name."""
    return {match[1]: match[0] for match in PIN.finditer(lock)}


def lay(name: str, requirements: str) -> Path:
    """The folder with these requirements installed, made unless it stands there already."""
    folder = OVERLAYS / name
    stamp = hashlib.sha256((requirements + sys.version).encode()).hexdigest()
    if (folder / STAMP).is_file() and (folder / STAMP).read_text() == stamp:
        return folder
    staging = OVERLAYS / f".{name}.staging"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    (staging / "requirements.txt").write_text(requirements + "\n", encoding="utf-8")
    print(f"overlay: installing what {name} has otherwise into {folder}", flush=True)
    subprocess.run(
        [
            *(ROOT / ".venv/uv/bin/uv", "pip", "install", "--python", sys.executable, "--target", staging),
            *("--no-deps", "--require-hashes", "--compile-bytecode", "--quiet", "-r", staging / "requirements.txt"),
        ],
        check=True,
    )
    (staging / STAMP).write_text(stamp)
    shutil.rmtree(folder, ignore_errors=True)
    staging.rename(folder)
    return folder


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
