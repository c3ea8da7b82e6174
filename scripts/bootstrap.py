"""Make `.venv` hold exactly what requirements/dev.txt locks. Standard library only: it runs on a bare machine.

Run by `make setup`. A second run compares a stamp (hash of the locks and of pyproject.toml) and returns at once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
UV_HOME = VENV / "uv"  # uv lives in its own corner, so that the locked environment stays exactly the lock
STAMP = VENV / "mmcurate.stamp"
UV_LOCK = ROOT / "validators" / "llamafactory" / "environment" / "locks" / "uv.txt"
LOCKS = (UV_LOCK, ROOT / "requirements" / "dev.txt", ROOT / "pyproject.toml")
# torchcodec 0.11 loads any of FFmpeg 4 to 8 (torchcodec/_internally_replaced_utils.py); these are their libavutil
LIBAVUTIL = tuple(f"libavutil.so.{major}" for major in (60, 59, 58, 57, 56))


def main() -> int:
    """Install what is missing; 0 when the environment is ready, 2 with a plain reason when it is not."""
    if sys.version_info < (3, 11):
        return fail(
            f"Python {sys.version.split()[0]} found, 3.11 or newer expected. Try `make PYTHON=python3.11 setup`."
        )
    stamp = hashlib.sha256(b"".join(path.read_bytes() for path in LOCKS) + sys.version.encode()).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == stamp:
        return 0
    started = time.monotonic()
    try:
        install(stamp)
    except subprocess.CalledProcessError as error:
        return fail(f"`{' '.join(map(str, error.cmd))}` ended with {error.returncode}; its own message is above.")
    say(f"ready in {time.monotonic() - started:.0f} s: {VENV}")
    provide_ffmpeg()
    return 0


def install(stamp: str) -> None:
    """Build the environment from the locks, then link this checkout into it."""
    python = VENV / "bin" / "python"
    STAMP.unlink(missing_ok=True)
    if not python.exists():
        say("creating .venv")
        run(sys.executable, "-m", "venv", "--without-pip", VENV)
    uv = find_uv()
    say("installing the locked environment (about 6 GB with torch; a minute or two on a fast line)")
    run(
        uv,
        "pip",
        "sync",
        "--python",
        python,
        "--require-hashes",
        "--compile-bytecode",  # once here: where PYTHONDONTWRITEBYTECODE is set, each start would compile its imports
        "--quiet",
        ROOT / "requirements" / "dev.txt",
    )
    say("linking the checkout")
    run(uv, "pip", "install", "--python", python, "--quiet", "--no-deps", "--no-build-isolation", "-e", ROOT)
    STAMP.write_text(stamp)


def find_uv() -> Path | str:
    """The uv of the lock: from our corner, or fetched there by whichever pip this Python can reach."""
    ours = UV_HOME / "bin" / "uv"
    if ours.exists():
        return ours
    wanted = pip_command()
    say("fetching uv")
    # --no-deps and --require-hashes: nothing but the file that the lock names can land
    run(
        *wanted, "install", "--quiet", "--no-deps", "--require-hashes", "--target", UV_HOME,
        "-r", UV_LOCK,
    )  # fmt: skip
    return ours


def pip_command() -> list[str]:
    """A pip to fetch uv with: this Python's own, else one that ensurepip makes in the venv's corner."""
    if succeeds(sys.executable, "-m", "pip", "--version"):
        return [sys.executable, "-m", "pip"]
    corner = VENV / "pip"
    if succeeds(sys.executable, "-m", "venv", corner):
        return [str(corner / "bin" / "python"), "-m", "pip"]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("this Python has neither pip nor ensurepip: installing Debian's python3-pip")
        apt_install("python3-pip")
        if succeeds("/usr/bin/python3", "-m", "pip", "--version"):
            return ["/usr/bin/python3", "-m", "pip"]
    raise SystemExit(
        fail("this Python has neither pip nor ensurepip. Do: apt-get install python3-pip python3-venv; then again.")
    )


def provide_ffmpeg() -> None:
    """torchaudio decodes through FFmpeg's shared libraries: install Debian's, or say what is missing."""
    if any(succeeds(sys.executable, "-c", f"import ctypes; ctypes.CDLL({name!r})") for name in LIBAVUTIL):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("installing Debian's ffmpeg: training on audio needs its shared libraries")
        apt_install("ffmpeg", check=False)
        if any(succeeds(sys.executable, "-c", f"import ctypes; ctypes.CDLL({name!r})") for name in LIBAVUTIL):
            return
    say(
        "note: FFmpeg's shared libraries were not found. Images and videos train without them; audio rows fail with "
        "'Could not load libtorchcodec'. Cure: apt-get install ffmpeg (or conda install ffmpeg)."
    )


def apt_install(package: str, check: bool = True) -> None:
    """Install one Debian package, quietly."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=False, env=environment, stdout=subprocess.DEVNULL)
    subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package],
        check=check,
        env=environment,
        stdout=subprocess.DEVNULL,
    )


def run(*command: object) -> None:
    """Run a command with its own output on our screen."""
    subprocess.run([str(part) for part in command], check=True)


def succeeds(*command: object) -> bool:
    """Whether a probe command ends with 0."""
    try:
        return subprocess.run([str(part) for part in command], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def say(text: str) -> None:
    """One progress line."""
    print(f"setup: {text}", flush=True)


def fail(text: str) -> int:
    """One error line; 2, for the shell."""
    print(f"setup: error: {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
