"""What a run is made of: machine, versions, commit, base model and data, each by what names it for certain."""

from __future__ import annotations

import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from validators.findings import Severity
from validators.replay.adapter_base import base_fingerprint, sha256
from validators.report.model import DatasetSummary, Report
from validators.sources.target import MANIFEST, CheckPlan, DatasetPlan

PACKAGES = ("mmcurate", "llamafactory", "transformers", "torch", "deepspeed", "datasets", "accelerate", "peft")
LAUNCHER = (
    "FORCE_TORCHRUN", "NNODES", "NODE_RANK", "NPROC_PER_NODE", "MASTER_ADDR", "MASTER_PORT", "MAX_RESTARTS", "RDZV_ID",
    "MIN_NNODES", "MAX_NNODES", "USE_RAY", "USE_MCA", "USE_KT", "OPTIM_TORCH", "CUDA_VISIBLE_DEVICES",
    "ASCEND_RT_VISIBLE_DEVICES", "OMP_NUM_THREADS", "NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME", "WANDB_MODE",
    "IMAGE_PLACEHOLDER", "VIDEO_PLACEHOLDER", "AUDIO_PLACEHOLDER", "DISABLE_VERSION_CHECK", "USE_MODELSCOPE_HUB",
    "HF_HUB_OFFLINE",
)  # fmt: skip
"""What the trainer's launcher and its data code read of the environment; none of it is a secret."""
LOCK = "lock.json"
SECRET = re.compile(r"(token|secret|password|api_key|webhook_url|access_key)$", re.IGNORECASE)
"""Keys of the trainer's whose values open something: hf_hub_token, swanlab_api_key, swanlab_lark_webhook_url …"""
HIDDEN = "(hidden)"
GIT_SECONDS = 20.0


def base_of(settings: Mapping[str, object]) -> dict[str, object]:
    """The base model: its name or folder, and its files' hashes and bytes where it lies here."""
    folder = Path(str(settings.get("model_name_or_path", "")))
    files = base_fingerprint(folder)
    return {
        "path": str(folder),
        "revision": settings.get("model_revision"),
        "files": files,
        "bytes": sum((folder / name).stat().st_size for name in files),
    }


def settings_of_run(file: Path, settings: Mapping[str, object], overrides: list[str]) -> dict[str, object]:
    """The yaml as it was given, word by word and as values, and what the command line put in place of some; the
    values of keys that name a secret are hidden in all three."""
    text = file.read_text(encoding="utf-8")
    for key, value in settings.items():
        if is_secret(key) and value not in (None, ""):
            # a value that is written otherwise than it reads (with escapes, over lines) hides all of the text
            text = text.replace(str(value), HIDDEN) if str(value) in text else HIDDEN
    return {
        "file": str(file),
        "sha256": sha256(file),
        "text": text,
        "values": {key: HIDDEN if is_secret(key) and value else value for key, value in settings.items()},
        "overrides": [HIDDEN if is_secret(each.partition("=")[0]) else each for each in overrides],
    }


def is_secret(key: str) -> bool:
    """Whether a key's value opens something."""
    return SECRET.search(key) is not None


def host() -> dict[str, object]:
    """The machine: its name, system, processors, memory in bytes, accelerators by name."""
    return {
        "name": socket.gethostname(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "accelerators": accelerators(),
    }


def accelerators() -> list[str]:
    """NVIDIA's GPUs by name, as their driver tells without being loaded."""
    names = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        with suppress(OSError):
            found = re.search(r"^Model:\s*(.+)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
            names.append(found[1].strip() if found else "NVIDIA GPU")
    return names


def launcher() -> dict[str, str]:
    """The launcher's part of the environment."""
    return {name: os.environ[name] for name in LAUNCHER if name in os.environ}


def versions() -> dict[str, str | None]:
    """Python's version and the packages'; None for what is not installed here."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def git_state(folder: Path) -> dict[str, object] | None:
    """The commit of the working folder, and whether tracked files differ from it; None outside a repository."""
    commit = git(folder, "rev-parse", "HEAD")
    changed = git(folder, "status", "--porcelain", "--untracked-files=no")
    return None if not commit else {"commit": commit, "dirty": None if changed is None else bool(changed)}


def git(folder: Path, *words: str) -> str | None:
    """What git says; None where it cannot. A repository's own settings must start no program."""
    try:
        done = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=GIT_SECONDS,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def data_of(plan: CheckPlan, report: Report) -> dict[str, object]:
    """Each dataset by its files' hashes, its rows in and reaching the loss, and the lock of the build it comes from."""
    counted = {dataset.name: dataset for dataset in report.datasets}
    return {item.entry.name: dataset_of(item, counted.get(item.entry.name)) for item in plan.datasets}


def dataset_of(item: DatasetPlan, counted: DatasetSummary | None) -> dict[str, object]:
    """One dataset."""
    return {
        "files": {str(file): sha256(file) for file in item.files if file.is_file()},
        "evaluates": item.evaluates,
        "rows": None if counted is None else counted.rows,
        "reaching": None if counted is None else counted.reaching,
        "build": None if item.info_file is None else lock_of(Path(item.info_file).parent),
    }


def lock_of(folder: Path) -> dict[str, str] | None:
    """The lock of a build by its hash, or its manifest where it has none; None for data that no build wrote."""
    for name in (LOCK, MANIFEST):
        if (folder / name).is_file():
            return {"file": str(folder / name), "sha256": sha256(folder / name)}
    return None


def check_of(report: Report, forced: bool) -> dict[str, object]:
    """What the check said before the start: rows in, reaching the loss, by outcome, and findings by code."""
    outcomes: dict[str, int] = {}
    codes: dict[str, int] = {}
    for dataset in report.datasets:
        for outcome, count in dataset.outcomes.items():
            outcomes[outcome.value] = outcomes.get(outcome.value, 0) + count
    for finding in report.findings:
        codes[finding.code] = codes.get(finding.code, 0) + 1
    return {
        "rows": report.rows_in,
        "reaching": report.rows_reaching,
        "outcomes": outcomes,
        "tokens": sum(dataset.tokens for dataset in report.datasets if not dataset.evaluates),
        "supervised": sum(dataset.supervised for dataset in report.datasets if not dataset.evaluates),
        "errors": report.tally(Severity.ERROR),
        "warnings": report.tally(Severity.WARNING),
        "codes": dict(sorted(codes.items())),
        "forced": forced,
    }


def process() -> dict[str, object]:
    """This process, so that it can be told later whether it still runs: a number alone is given again."""
    return {"pid": os.getpid(), "started": started(os.getpid()), "boot": boot()}


def started(pid: int) -> str:
    """When a process started, in the kernel's ticks; "" where there is none or no /proc."""
    try:
        # the name, in parentheses, may hold anything; the start is the 20th field behind it (proc(5): stat)
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def boot() -> str:
    """The name of this start of the machine (in a container: of its host's); "" where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def command() -> list[str]:
    """The command line, the program by its bare name."""
    return [Path(sys.argv[0]).name, *sys.argv[1:]]
