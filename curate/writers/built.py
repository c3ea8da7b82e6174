"""A build output, read back: what its manifest promises, and whether the disk still keeps the promise."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from validators.errors import UsageFault
from validators.model import MediaKind

MANIFEST = "manifest.json"
INFO = "dataset_info.json"
REBUILD = "run curate build again"


@dataclass(frozen=True, slots=True)
class BuiltFile:
    """A file that the trainer reads: its path from the build's folder, where it is, its rows."""

    name: str
    path: Path
    rows: int


@dataclass(frozen=True, slots=True)
class BuiltDataset:
    """One dataset of a build: the trainer's files, its Arrow folder, its dataset_info entry, its media's hashes."""

    name: str
    rows: int
    data: tuple[BuiltFile, ...]
    arrow: Path
    entry: Mapping[str, object]
    media: Mapping[str, str]
    """Path relative to the media root -> sha256 at build time."""

    @property
    def kinds(self) -> tuple[MediaKind, ...]:
        """The modalities that the entry registers."""
        columns = self.entry.get("columns")
        return tuple(kind for kind in MediaKind if isinstance(columns, Mapping) and kind.column in columns)


@dataclass(frozen=True, slots=True)
class BuildOutput:
    """A build folder and its datasets."""

    folder: Path
    media_root: Path
    datasets: tuple[BuiltDataset, ...]
    files: Mapping[str, str]
    """Built file relative to the folder -> sha256 at build time."""


def read_build(folder: Path) -> BuildOutput:
    """Read manifest and dataset_info; UsageFault where the folder is no build output."""
    if not (folder / MANIFEST).is_file():
        raise UsageFault(folder, f"no {MANIFEST} in it", "the target folder of a curate build")
    manifest = read_object(folder / MANIFEST)
    info = read_object(folder / INFO)
    where = folder / MANIFEST
    listed = objects(manifest.get("datasets"), where, "datasets")
    if not listed:
        raise UsageFault(where, "it names no dataset", "at least one", REBUILD)
    datasets = tuple(read_dataset(folder, name, facts, info) for name, facts in listed.items())
    files = hashes(manifest.get("files", {}), where, "files")
    media_root = folder / str(manifest.get("media_root", "."))
    return BuildOutput(folder, media_root.resolve(), datasets, files)


def read_dataset(folder: Path, name: str, facts: Mapping[str, object], info: Mapping[str, object]) -> BuiltDataset:
    """One dataset of the manifest."""
    where = folder / MANIFEST
    rows = facts.get("rows")
    if not isinstance(rows, int):
        raise UsageFault(where, f"datasets.{name}.rows is {rows!r}", "a number", REBUILD)
    if not is_plain_name(name):
        raise UsageFault(where, f"a dataset is named {name!r}", "a name without folders", REBUILD)
    entry = info.get(name)
    if not isinstance(entry, Mapping):
        raise UsageFault(folder / INFO, f"no entry for {name}", "an object", REBUILD)
    return BuiltDataset(
        name=name,
        rows=rows,
        data=data_files(folder, name, facts),
        arrow=inside(folder, str(facts.get("arrow", f"arrow/{name}")), where),
        entry=entry,
        media=hashes(facts.get("media", {}), where, f"datasets.{name}.media"),
    )


def data_files(folder: Path, name: str, facts: Mapping[str, object]) -> tuple[BuiltFile, ...]:
    """The trainer's files of one dataset."""
    where, listed = folder / MANIFEST, facts.get("data")
    if not isinstance(listed, list) or not listed:
        raise UsageFault(where, f"datasets.{name}.data is {listed!r}", "a list of files", REBUILD)
    found = []
    for each in listed:
        file, rows = (each.get("file"), each.get("rows")) if isinstance(each, Mapping) else (None, None)
        if not isinstance(file, str) or not isinstance(rows, int):
            raise UsageFault(where, f"datasets.{name}.data has {each!r}", "file, rows and sha256", REBUILD)
        found.append(BuiltFile(file, inside(folder, file, where), rows))
    return tuple(found)


def verify_files(build: BuildOutput) -> None:
    """UsageFault for a built file that is gone or is not what the build wrote."""
    for relative, expected in build.files.items():
        path = inside(build.folder, relative, build.folder / MANIFEST)
        if not path.is_file():
            raise UsageFault(path, "gone since the build", "the built file", REBUILD)
        if sha256_of(path) != expected:
            raise UsageFault(path, "changed since the build", f"the file that {MANIFEST} has the hash of", REBUILD)


def media_file(root: Path, relative: str, where: object) -> Path:
    """A media path resolved; UsageFault where it leaves the media root, also by a symbolic link."""
    path = inside(root, relative, where)
    if not path.is_file():
        raise UsageFault(where, f"media {relative} not found under {root}", "an existing file", REBUILD)
    return path


def inside(root: Path, relative: str, where: object) -> Path:
    """`root / relative`, which must stay under root."""
    path = (root / relative).resolve()
    if not path.is_relative_to(root.resolve()):
        raise UsageFault(where, f"path {relative!r} leaves {root}", "a path under it", REBUILD)
    return path


def is_plain_name(name: str) -> bool:
    """Whether a dataset's name is safe as a folder's and a file's name here and in a repository."""
    return (
        bool(name)
        and not name.startswith(".")
        and not any(mark in name for mark in '/\\:*?"<>|')
        and name.isprintable()
    )


def read_object(path: Path) -> Mapping[str, object]:
    """A JSON object from a file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageFault(path, error.strerror or "cannot be read", "a readable file", REBUILD) from error
    except (ValueError, RecursionError) as error:
        raise UsageFault(path, f"not JSON: {error}", "a JSON object", REBUILD) from error
    if not isinstance(value, dict):
        raise UsageFault(path, f"a JSON {type(value).__name__}", "an object", REBUILD)
    return value


def objects(value: object, where: Path, key: str) -> Mapping[str, Mapping[str, object]]:
    """A mapping of names to objects."""
    if not isinstance(value, Mapping) or not all(isinstance(item, Mapping) for item in value.values()):
        raise UsageFault(where, f"{key} is no mapping of objects", "the manifest that curate build wrote", REBUILD)
    return value


def hashes(value: object, where: Path, key: str) -> Mapping[str, str]:
    """The sha256 of each object of a mapping."""
    return {name: str(facts.get("sha256")) for name, facts in objects(value, where, key).items()}


def sha256_of(path: Path) -> str:
    """A file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
