"""The trackers that a run reports to, refused before the start where the first step would stop at a missing login.

That their packages are installed is a rule's affair (validators/rules/arguments.py: missing_package). A run has no
terminal to be asked on. Keys are looked for, never read: wandb 0.31.0, sdk/lib/wbauth/authenticate.py; swanlab 0.10.3,
sdk/internal/settings/__init__.py.
"""

from __future__ import annotations

import netrc
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from validators.errors import UsageFault

WANDB_QUIET = frozenset({"offline", "disabled", "dryrun"})
SWANLAB_QUIET = frozenset({"local", "offline", "disabled"})
WANDB_KEYS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")


def trackers_of(settings: Mapping[str, object]) -> tuple[str, ...]:
    """The names in report_to (transformers 5.6.0's default is none), and swanlab by llamafactory's own key."""
    given = settings.get("report_to")
    names = [str(each) for each in given] if isinstance(given, list) else [str(given or "none")]
    if settings.get("use_swanlab"):
        names.append("swanlab")
    return tuple(dict.fromkeys(name for name in names if name != "none"))


def refuse_without_login(settings: Mapping[str, object], environment: Mapping[str, str], home: Path) -> None:
    """UsageFault for a tracker that would stop the run for want of a login."""
    for name in trackers_of(settings):
        if name == "wandb" and not wandb_ready(environment, home):
            raise UsageFault(
                "report_to: wandb", "no key of wandb's is set or stored here", "a login, or WANDB_MODE=offline",
                "`wandb login`; or set WANDB_MODE=offline, and later `wandb sync`",
            )  # fmt: skip
        if name == "swanlab" and not swanlab_ready(settings, environment, home):
            raise UsageFault(
                "swanlab", "no key of swanlab's is set or stored here", "a login, or a run that stays here",
                "`swanlab login`; or set SWANLAB_MODE=local, or swanlab_mode: local with use_swanlab",
            )  # fmt: skip


def wandb_ready(environment: Mapping[str, str], home: Path) -> bool:
    """Whether wandb sends nothing, or has a key: in the environment, in .netrc, or in its settings file."""
    if environment.get("WANDB_MODE") in WANDB_QUIET or any(environment.get(name) for name in WANDB_KEYS):
        return True
    settings = [
        Path(environment.get("WANDB_CONFIG_DIR") or home / ".config/wandb") / "settings",
        Path("wandb/settings"),
    ]
    if any(says(file, ("api_key", "mode = offline", "mode = disabled")) for file in settings):
        return True
    host = urlsplit(environment.get("WANDB_BASE_URL", "https://api.wandb.ai")).netloc
    named = environment.get("NETRC")
    files = [Path(named).expanduser()] if named else [home / ".netrc", home / "_netrc"]
    return any(knows(file, host) for file in files)


def swanlab_ready(settings: Mapping[str, object], environment: Mapping[str, str], home: Path) -> bool:
    """Whether swanlab stays here, or has a key: in the yaml, in the environment, or stored by its login."""
    if settings.get("use_swanlab") and settings.get("swanlab_mode") == "local":
        return True
    if environment.get("SWANLAB_MODE") in SWANLAB_QUIET or environment.get("SWANLAB_API_KEY"):
        return True
    return bool(settings.get("swanlab_api_key")) or any(
        (folder / ".swanlab" / ".netrc").is_file() for folder in (Path(), home)
    )


def says(file: Path, words: tuple[str, ...]) -> bool:
    """Whether a settings file has a line that begins with one of these."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.strip().startswith(words) for line in lines)


def knows(file: Path, host: str) -> bool:
    """Whether a .netrc names a host."""
    try:
        return host in netrc.netrc(file).hosts
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return False
