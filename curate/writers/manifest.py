"""The manifest: what a build is made of, by content. It is the last file to be written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

NAME = "manifest.json"


def digest(path: Path) -> dict[str, object]:
    """A file's sha256 and length in bytes."""
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}


def write_manifest(
    folder: Path,
    recipe: str,
    media_root: str,
    datasets: Mapping[str, Mapping[str, object]],
    files: Mapping[str, Path],
    digests: Mapping[str, Mapping[str, object]],
) -> None:
    """Describe the build: `media_root` is relative to where the manifest will lie, `files` are those of this build.

    digests: those of files that are known already.
    """
    value = {
        "format": 1,
        "mmcurate": version("mmcurate"),
        "recipe": recipe,
        "media_root": media_root,
        "datasets": datasets,
        "files": {name: digests.get(name) or digest(path) for name, path in sorted(files.items())},
    }
    (folder / NAME).write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
