"""The lock of a build: what went in and what came out, by hash. Two builds with equal locks hold equal bytes.

It names no folder of this machine, so that it can be kept with the recipe: `curate build --locked` holds a later build,
or one elsewhere, against it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from curate.build import source_name
from curate.ingest.raw import kind_by_suffix
from curate.recipe import Recipe, Source
from curate.work.memory import Memory
from curate.work.states import files_below
from curate.work.work import folder_of, versions
from curate.writers.parts import Output
from validators.errors import UsageFault

NAME = "lock.json"
VERSIONS = "versions"
MOST = 8


def lock_of(
    recipe: Recipe, memory: Memory, outputs: Mapping[str, Output], described: Mapping[str, Mapping[str, object]]
) -> dict[str, object]:
    """recipe, trainer, sources, datasets and versions. described: the manifest's words on each dataset."""
    sources = {
        source_name(source.path, recipe): source_digest(source, recipe, memory)
        for dataset in recipe.datasets
        for source in dataset.sources
    }
    value: dict[str, object] = {"format": 1, "recipe": file_digest(recipe.file, memory)}
    if recipe.trainer is not None:
        value["trainer"] = file_digest(recipe.trainer, memory)
    return value | {
        "sources": dict(sorted(sources.items())),
        "datasets": {name: dataset_digest(output, described[name]) for name, output in outputs.items()},
        VERSIONS: versions(),
    }


def dataset_digest(output: Output, described: Mapping[str, object]) -> dict[str, object]:
    """A dataset's rows and media as one hash each."""
    media = described["media"]
    assert isinstance(media, Mapping)
    seen = hashlib.sha256()
    for path, digest in sorted(media.items()):
        seen.update(f"{path}\0{digest['sha256']}\n".encode())
    return {
        "rows": output.rows,
        "files": dict(sorted(output.files.items())),
        "media": {"files": len(media), "bytes": sum(digest["bytes"] for digest in media.values())}
        | {"sha256": seen.hexdigest()},
    }


def source_digest(source: Source, recipe: Recipe, memory: Memory) -> dict[str, object]:
    """A source's bytes. Of a folder: its files by name, hash and length; media by name and length, since those that
    rows use are hashed with the rows."""
    path = source.path
    if not path.exists():
        named = {"config": source.options.config, "split": source.options.split, "revision": source.options.revision}
        return {"format": source.format, "hub": "/".join(path.parts[-2:]), **named}
    if path.is_file():
        return {"format": source.format, **file_digest(path, memory)}
    seen = hashlib.sha256()
    count = 0
    for file in folder_files(path, recipe):
        name = file.relative_to(path).as_posix()
        content = "" if kind_by_suffix(name) else memory.hash_of(file)
        seen.update(f"{name}\0{content}\0{file.stat().st_size}\n".encode("utf-8", "surrogateescape"))
        count += 1
    return {"format": source.format, "files": count, "sha256": seen.hexdigest()}


def folder_files(folder: Path, recipe: Recipe) -> Iterator[Path]:
    """The files of a source folder, the build's own left out."""
    leave = {str(recipe.target), str(folder_of(recipe.target))}
    leave.add(str(recipe.target.parent / f".{recipe.target.name}.staging"))
    yield from (Path(entry.path) for entry in files_below(os.path.abspath(folder), leave))  # noqa: PTH100


def file_digest(file: Path, memory: Memory) -> dict[str, object]:
    """A file's hash and length."""
    return {"sha256": memory.hash_of(file), "bytes": file.stat().st_size}


def write_lock(folder: Path, value: Mapping[str, object]) -> None:
    """Write the lock."""
    (folder / NAME).write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def refuse_other(wanted: Path, made: Path) -> None:
    """UsageFault where a build's lock is another than the one that is wanted; other versions alone are no fault."""
    try:
        expected = json.loads(wanted.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageFault(wanted, f"cannot be read: {error}", f"the {NAME} of a build") from error
    if not isinstance(expected, dict):
        raise UsageFault(wanted, "no JSON object", f"the {NAME} of a build")
    found = json.loads(made.read_text(encoding="utf-8"))
    other = [path for path in differences(expected, found, "") if path.split(".")[0] != VERSIONS]
    if other:
        more = f" and {len(other) - MOST} more" if len(other) > MOST else ""
        versions_too = expected.get(VERSIONS) != found[VERSIONS]
        cure = "the versions differ too: `versions` in both" if versions_too else "restore what changed, or lock anew"
        raise UsageFault(
            wanted, f"this build differs in {', '.join(other[:MOST])}{more}", "the build that was locked", cure
        )


def differences(one: object, other: object, path: str) -> Iterator[str]:
    """Where two JSON values differ, by their keys."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            yield from differences(one.get(key), other.get(key), f"{path}.{key}" if path else str(key))
    elif one != other:
        yield path
