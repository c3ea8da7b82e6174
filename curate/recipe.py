"""A build recipe: which raw sources become which datasets, and where."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from validators.errors import UsageFault
from validators.model import MediaKind
from validators.settings import read_yaml

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
FORMATS = ("csv", "jsonl", "folder", "llava")
QUESTIONS: Mapping[MediaKind, tuple[str, ...]] = {
    MediaKind.IMAGE: ("Describe this image.",),
    MediaKind.VIDEO: ("Describe this video.",),
    MediaKind.AUDIO: ("Describe this sound.",),
}


@dataclass(frozen=True, slots=True)
class Source:
    """One raw source: a file, or a folder of media with captions beside them."""

    format: str
    path: Path


@dataclass(frozen=True, slots=True)
class DatasetRecipe:
    """One dataset to build."""

    name: str
    sources: tuple[Source, ...]
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole recipe; paths are absolute. `questions` are asked of captions that come without one."""

    file: Path
    target: Path
    media_root: Path
    datasets: tuple[DatasetRecipe, ...]
    questions: Mapping[MediaKind, tuple[str, ...]]


def read_recipe(path: Path, target: Path | None = None) -> Recipe:
    """Read and check a recipe; UsageFault names the key, what was found and what was expected."""
    raw = read_yaml(path)
    home = path.resolve().parent
    known(path, "recipe", raw, ("version", "target", "media_root", "questions", "datasets"))
    if raw.get("version") != 1:
        raise UsageFault(path, f"version {raw.get('version')!r}", "version: 1")
    out = (target or home / text(path, "target", raw.get("target"))).resolve()
    media_root = (home / text(path, "media_root", raw.get("media_root", "."))).resolve()
    if not media_root.is_dir():
        raise UsageFault(path, f"media_root {media_root} is no folder", "the folder that media paths start from")
    # the target is replaced as a whole at each build
    if out in (media_root, home, *media_root.parents, *home.parents):
        raise UsageFault(path, f"target {out} holds the sources", "a folder of its own for the output")
    entries = items(path, "datasets", raw.get("datasets"))
    datasets = tuple(dataset(path, home, number, entry) for number, entry in enumerate(entries))
    names = [item.name for item in datasets]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageFault(path, f"two datasets named {twice!r}", "one entry a name")
    return Recipe(path.resolve(), out, media_root, datasets, questions(path, raw.get("questions")))


def dataset(path: Path, home: Path, number: int, raw: object) -> DatasetRecipe:
    """One entry under `datasets`."""
    where = f"datasets[{number}]"
    if not isinstance(raw, Mapping):
        raise UsageFault(path, f"{where} is {raw!r}", "a mapping with name and sources")
    known(path, where, raw, ("name", "sources", "system"))
    name = text(path, f"{where}.name", raw.get("name"))
    if not NAME.fullmatch(name):
        raise UsageFault(path, f"{where}.name is {name!r}", "letters, digits, _ . -")
    system = raw.get("system")
    if system is not None:
        system = text(path, f"{where}.system", system)
    sources = []
    for index, item in enumerate(items(path, f"{where}.sources", raw.get("sources"))):
        place = f"{where}.sources[{index}]"
        if not isinstance(item, Mapping):
            raise UsageFault(path, f"{place} is {item!r}", "a mapping with format and path")
        known(path, place, item, ("format", "path"))
        kind = text(path, f"{place}.format", item.get("format"))
        if kind not in FORMATS:
            raise UsageFault(path, f"{place}.format is {kind!r}", f"one of {', '.join(FORMATS)}")
        file = home / text(path, f"{place}.path", item.get("path"))
        if not (file.is_dir() if kind == "folder" else file.is_file()):
            raise UsageFault(path, f"{place}.path: {file} not found", "an existing source")
        sources.append(Source(kind, file))
    return DatasetRecipe(name, tuple(sources), system)


def questions(path: Path, raw: object) -> Mapping[MediaKind, tuple[str, ...]]:
    """The prompts for bare captions, the defaults where the recipe has none."""
    if raw is None:
        return QUESTIONS
    if not isinstance(raw, Mapping):
        raise UsageFault(path, f"questions is {raw!r}", "a mapping: image, video, audio")
    known(path, "questions", raw, tuple(MediaKind))
    return dict(QUESTIONS) | {
        MediaKind(kind): tuple(
            text(path, f"questions.{kind}", item) for item in items(path, f"questions.{kind}", entry)
        )
        for kind, entry in raw.items()
    }


def known(path: Path, where: str, raw: Mapping[str, object], keys: Sequence[str]) -> None:
    """Refuse keys that mean nothing here."""
    for key in raw:
        if key not in keys:
            near = get_close_matches(str(key), keys, n=1)
            raise UsageFault(
                path, f"unknown key {key!r} in {where}", ", ".join(keys), f"did you mean {near[0]!r}?" if near else ""
            )


def text(path: Path, where: str, value: object) -> str:
    """A non-empty string."""
    if not isinstance(value, str) or not value.strip():
        raise UsageFault(path, f"{where} is {value!r}", "text")
    return value


def items(path: Path, where: str, value: object) -> list[object]:
    """A non-empty list."""
    if not isinstance(value, list) or not value:
        raise UsageFault(path, f"{where} is {value!r}", "a list with at least one item")
    return value
