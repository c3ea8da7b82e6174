"""What a TARGET on the command line stands for: settings plus the datasets to read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from validators.errors import UsageFault
from validators.settings import TrainerSettings, read_yaml, settings_of
from validators.sources.dataset_info import FILE_NAME, DatasetEntry, infer_entry, parse_entry, read_info
from validators.sources.rows import SourceFault, iter_rows

DATA_SUFFIXES = (".json", ".jsonl", ".parquet")
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """One dataset to check: its entry, its files and the folder that its media paths start from."""

    entry: DatasetEntry
    info_file: str | None
    """The dataset_info.json that registers it; None for a bare data file."""
    files: tuple[Path, ...]
    media_dir: Path


@dataclass(frozen=True, slots=True)
class Undefined:
    """A dataset name that dataset_info.json does not have, with the nearest names."""

    name: str
    info_file: str
    nearest: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BadEntry:
    """A dataset_info entry that is no object or names no file that exists."""

    name: str
    info_file: str
    found: str
    expected: str
    missing_file: bool


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """Everything the engine needs to know before the first row is read."""

    target: str
    settings: TrainerSettings
    datasets: tuple[DatasetPlan, ...]
    undefined: tuple[Undefined, ...] = ()
    bad_entries: tuple[BadEntry, ...] = ()
    passed_over: tuple[str, ...] = ()
    """Entries on a hub, or of a formatting that is not replayed: named, not read."""


def resolve(target: str, overrides: TrainerSettings, media_dir: str | None) -> CheckPlan:
    """Read the target's own files (not its rows). UsageFault when the target is none of the known kinds."""
    path = Path(target)
    if path.suffix in (".yaml", ".yml"):
        return from_yaml(path, overrides, media_dir)
    base, name = split_name(target)
    if base.name == FILE_NAME or (base.is_dir() and (base / FILE_NAME).is_file()):
        return from_info(target, base, name, overrides, media_dir)
    if not path.exists():
        raise UsageFault(target, "no such file or folder", KINDS)
    if path.is_dir():
        raise UsageFault(target, f"a folder without {FILE_NAME}", KINDS)
    if path.suffix not in DATA_SUFFIXES:
        raise UsageFault(target, f"a file ending in {path.suffix or 'nothing'!r}", KINDS)
    return from_data(path, overrides, media_dir)


KINDS = "a train .yaml, a dataset_info.json[:name], a .json/.jsonl/.parquet of conversations, or a build folder"


def split_name(target: str) -> tuple[Path, str | None]:
    """`dataset_info.json:name` into its two parts."""
    head, colon, name = target.rpartition(":")
    if colon and Path(head).name == FILE_NAME:
        return Path(head), name
    return Path(target), None


def from_yaml(path: Path, overrides: TrainerSettings, media_dir: str | None) -> CheckPlan:
    """A train yaml: its datasets, looked up in its dataset_dir (from the working folder, as in the trainer)."""
    raw = read_yaml(path)
    settings = merged(settings_of(raw, str(path)), overrides)
    if not settings.datasets:
        return CheckPlan(str(path), settings, ())
    info_file = Path(settings.dataset_dir) / FILE_NAME
    return gather(str(path), info_file, settings.datasets, settings, media_dir)


def from_info(
    target: str, base: Path, name: str | None, overrides: TrainerSettings, media_dir: str | None
) -> CheckPlan:
    """A dataset_info.json or the folder that holds one: one entry, or all local ones."""
    info_file = base / FILE_NAME if base.is_dir() else base
    info = read_info(info_file)
    built = manifest_of(info_file.parent)
    if name is None and built is not None:
        media_dir = media_dir or str(info_file.parent / str(built.get("media_root", ".")))
        names: tuple[str, ...] = tuple(str(key) for key in mapping(built.get("datasets")))
    else:
        names = (name,) if name else tuple(info)
    settings = replace(overrides, dataset_dir=str(info_file.parent), datasets=names)
    return gather(target, info_file, names, settings, media_dir)


def from_data(path: Path, overrides: TrainerSettings, media_dir: str | None) -> CheckPlan:
    """A bare data file: the entry that registers it beside it, else names inferred from its first rows."""
    info_file = path.parent / FILE_NAME
    if info_file.is_file():
        info = read_info(info_file)
        names = tuple(key for key, raw in info.items() if mapping(raw).get("file_name") == path.name)
        if names:
            return gather(str(path), info_file, names, replace(overrides, dataset_dir=str(path.parent)), media_dir)
    entry = infer_entry(path.name, first_object(path))
    plan = DatasetPlan(entry, None, (path,), Path(media_dir or overrides.media_dir or path.parent))
    return CheckPlan(str(path), replace(overrides, dataset_dir=str(path.parent)), (plan,))


def gather(
    target: str, info_file: Path, names: tuple[str, ...], settings: TrainerSettings, media_dir: str | None
) -> CheckPlan:
    """Look the names up and find their files."""
    info = read_info(info_file)
    root = info_file.parent
    media_root = Path(media_dir or settings.media_dir or root)
    plans: list[DatasetPlan] = []
    undefined: list[Undefined] = []
    bad: list[BadEntry] = []
    passed_over: list[str] = []
    for name in dict.fromkeys(names):
        if name not in info:
            nearest = tuple(get_close_matches(name, list(info), n=3, cutoff=0.6))
            undefined.append(Undefined(name, str(info_file), nearest))
            continue
        raw = info[name]
        if not isinstance(raw, Mapping):
            bad.append(BadEntry(name, str(info_file), f"a JSON {type(raw).__name__}", "an object", False))
            continue
        entry = parse_entry(name, raw)
        if not entry.is_local or entry.ranking or entry.formatting != "sharegpt":
            passed_over.append(name)
            continue
        if entry.file_name is None:
            bad.append(BadEntry(name, str(info_file), "no file_name", '"file_name": the data file', False))
            continue
        files = data_files(root / entry.file_name)
        if not files:
            bad.append(BadEntry(name, str(info_file), f"{root / entry.file_name} not found", "an existing file", True))
            continue
        plans.append(DatasetPlan(entry, str(info_file), files, media_root))
    return CheckPlan(target, settings, tuple(plans), tuple(undefined), tuple(bad), tuple(passed_over))


def data_files(path: Path) -> tuple[Path, ...]:
    """A file, or the files of a folder in a stable order (the trainer takes os.listdir's)."""
    if path.is_file():
        return (path,)
    if path.is_dir():
        return tuple(sorted(item for item in path.iterdir() if item.is_file()))
    return ()


def merged(settings: TrainerSettings, overrides: TrainerSettings) -> TrainerSettings:
    """Command-line values win over the yaml's."""
    default = TrainerSettings()
    given = {
        name: getattr(overrides, name)
        for name in ("template", "model", "tokenizer", "media_dir", "cutoff_len")
        if getattr(overrides, name) != getattr(default, name)
    }
    return replace(settings, **given)


def manifest_of(folder: Path) -> Mapping[str, object] | None:
    """The manifest of a build output; None where the folder is not one."""
    path = folder / MANIFEST
    try:
        return mapping(json.loads(path.read_text(encoding="utf-8"))) or None
    except (OSError, ValueError, RecursionError):
        return None


def mapping(value: object) -> Mapping[str, object]:
    """The value as a mapping, empty where it is none."""
    return value if isinstance(value, Mapping) else {}


def first_object(path: Path) -> Mapping[str, object]:
    """The first row that is an object; empty where there is none (the rules say why)."""
    return next(objects(path), {})


def objects(path: Path) -> Iterator[Mapping[str, object]]:
    """Rows that are objects, until reading fails."""
    try:
        for raw in iter_rows(path):
            if isinstance(raw.value, Mapping):
                yield raw.value
    except SourceFault:
        return
