"""What trained this: the record that lies beside an adapter and ties it to its base, its data and its settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from validators.sources.target import CheckPlan

NAME = "mmcurate_run.json"
VERSIONS = ("mmcurate", "llamafactory", "transformers", "torch", "datasets")


def sha256(path: Path) -> str:
    """A file's hash."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def base_fingerprint(folder: Path) -> dict[str, str]:
    """Hashes of the config and weights of a local base model; empty for one on a hub."""
    if not folder.is_dir():
        return {}
    files = [*folder.glob("*.safetensors"), folder / "config.json"]
    return {path.name: sha256(path) for path in sorted(files) if path.is_file()}


def write_record(out: Path, yaml_file: Path, settings: Mapping[str, object], plan: CheckPlan) -> Path:
    """Write the record into a run's output folder."""
    base = Path(str(settings.get("model_name_or_path", "")))
    value = {
        "format": 1,
        "settings": {"file": str(yaml_file), "sha256": sha256(yaml_file), "template": settings.get("template")},
        "base": {"path": str(base), "files": base_fingerprint(base)},
        "data": {str(file): sha256(file) for dataset in plan.datasets for file in dataset.files},
        "versions": {name: version(name) for name in VERSIONS},
    }
    path = out / NAME
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    return path
