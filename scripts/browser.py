"""A Chromium for the tests of the HTML report: find one, or install Debian's. Standard library only.

Run by `make test`. $MMCURATE_CHROMIUM names another than the one on PATH.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VARIABLE = "MMCURATE_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # in a container as root there is none; the tests open their own files only
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_browser() -> str | None:
    """The executable that $MMCURATE_CHROMIUM or PATH names."""
    named = os.environ.get(VARIABLE)
    if named:
        return named if os.access(named, os.X_OK) and Path(named).is_file() else None
    return next(filter(None, map(shutil.which, NAMES)), None)


def main() -> int:
    """Find, else install; 0 when there is a browser, 2 with a plain reason when there is none."""
    named = os.environ.get(VARIABLE)
    if find_browser():
        return 0
    if named:
        return fail(f"${VARIABLE} names {named}, which is no program.")
    command = apt_get()
    if command is None:
        return fail(f"no {', '.join(NAMES[:-1])} on PATH, and no apt-get (as root or with sudo) to install one.")
    print("browser: installing Debian's chromium", flush=True)
    quiet = {"stdout": subprocess.DEVNULL, "env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}}
    subprocess.run([*command, "update", "-qq"], check=False, **quiet)
    subprocess.run([*command, "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=False, **quiet)
    return 0 if find_browser() else fail("`apt-get install chromium` left none; its own message is above.")


def apt_get() -> list[str] | None:
    """apt-get as this user may run it; None where that asks for a password or there is none."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return ["apt-get"]
    may = shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    return ["sudo", "-n", "apt-get"] if may and may.returncode == 0 else None


def fail(reason: str) -> int:
    """One error line with the cure; 2, for the shell."""
    print(f"browser: error: {reason} Install Chromium, or set {VARIABLE}=/path/to/chrome.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
