"""What a TARGET on the command line stands for: settings plus the datasets to read."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from validators.errors import UsageFault
from validators.llamafactory.environment.run import in_environment
from validators.model import MediaKind
from validators.settings import TrainerSettings, read_yaml, refuse_impossible_paths, settings_of
from validators.sources.dataset_info import FILE_NAME, FORMATTINGS, DatasetEntry, infer_entry, parse_entry, read_info
from validators.sources.loading import FILE_TYPES, Loader
from validators.sources.rows import SourceFault, iter_rows
from validators.sources.splits import SplitFault, SplitPart, parse_split

WHOLE = (SplitPart(None, None, False, None),)

DATA_SUFFIXES = tuple(f".{suffix}" for suffix in FILE_TYPES)
MANIFEST = "manifest.json"
UNCHANGED: Mapping[Path, Path] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """One dataset to check: its entry, its files and the folder that its media paths start from."""

    entry: DatasetEntry
    info_file: str | None
    """The dataset_info.json that registers it; None for a bare data file."""
    files: tuple[Path, ...]
    media_dir: Path
    kind: str = "json"
    """How the files are read: json, csv, parquet, arrow or text."""
    parts: tuple[SplitPart, ...] = WHOLE
    evaluates: bool = False
    """Named by eval_dataset: loaded like the others, never trained on."""
    num_samples: int | None = None
    """Rows that the trainer draws at random; None for all."""

    def loader(self) -> Loader:
        """A fresh reading of the files."""
        names = frozenset(name for name in self.entry.columns.values() if name)
        return Loader(self.files, self.kind, names)


MOST_DRAWN = 1 << 30
"""Rows that num_samples draws: 8 GiB of numbers (llamafactory 0.9.5, data/loader.py: _load_single_dataset), which also
slices with it, and asserts that there are as many."""


class EntryFault(StrEnum):
    """What keeps an entry from being loaded, known before a row is read."""

    MALFORMED = "malformed"
    MISSING_FILE = "missing-file"
    FILE_TYPE = "file-type"
    SPLIT = "split"
    STAGE = "stage"


@dataclass(frozen=True, slots=True)
class Undefined:
    """A dataset name that dataset_info.json does not have, with the nearest names."""

    name: str
    info_file: str
    nearest: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BadEntry:
    """A dataset_info entry that the loader stops at."""

    name: str
    info_file: str
    found: str
    expected: str
    fault: EntryFault
    place: str = ""


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """Everything the engine needs to know before the first row is read."""

    target: str
    settings: TrainerSettings
    datasets: tuple[DatasetPlan, ...]
    undefined: tuple[Undefined, ...] = ()
    bad_entries: tuple[BadEntry, ...] = ()
    passed_over: tuple[str, ...] = ()
    """Entries on a hub, and preference data: named, not read."""


def resolve(
    target: str, overrides: TrainerSettings, media_dir: str | None, instead: Mapping[Path, Path] = UNCHANGED
) -> CheckPlan:
    """Read the target's own files (not its rows), and find the environment that the run will use.

    UsageFault when the target is none of the known kinds. instead: changed copies of data files and dataset_info.json,
    to be read in place of them.
    """
    plan = plan_of_target(target, overrides, media_dir, instead)
    media = {kind.value for kind in MediaKind for dataset in plan.datasets if dataset.entry.media_column(kind)}
    return replace(plan, settings=in_environment(plan.settings, frozenset(media)))


def plan_of_target(
    target: str, overrides: TrainerSettings, media_dir: str | None, instead: Mapping[Path, Path]
) -> CheckPlan:
    """The plan by the kind of target."""
    path = Path(target)
    if path.suffix in (".yaml", ".yml"):
        return from_yaml(path, overrides, media_dir, instead)
    base, name = split_name(target)
    if base.name == FILE_NAME or (base.is_dir() and (base / FILE_NAME).is_file()):
        return from_info(target, base, name, overrides, media_dir, instead)
    if not path.exists():
        raise UsageFault(target, "no such file or folder", KINDS)
    if path.is_dir():
        raise UsageFault(target, f"a folder without {FILE_NAME}", KINDS)
    if path.suffix not in DATA_SUFFIXES:
        raise UsageFault(target, f"a file ending in {path.suffix or 'nothing'!r}", KINDS)
    return from_data(path, overrides, media_dir, instead)


KINDS = (
    "a train .yaml, a dataset_info.json[:name], a data file (json, jsonl, csv, parquet, arrow, txt), or a build folder"
)


def split_name(target: str) -> tuple[Path, str | None]:
    """`dataset_info.json:name` into its two parts."""
    head, colon, name = target.rpartition(":")
    if colon and Path(head).name == FILE_NAME:
        return Path(head), name
    return Path(target), None


def from_yaml(path: Path, overrides: TrainerSettings, media_dir: str | None, instead: Mapping[Path, Path]) -> CheckPlan:
    """A train yaml: its datasets, looked up in its dataset_dir (from the working folder, as in the trainer)."""
    raw = read_yaml(path)
    refuse_impossible_paths(raw, str(path))
    settings = merged(settings_of(raw, str(path)), overrides)
    if not settings.datasets:
        return CheckPlan(str(path), settings, ())
    info_file = Path(settings.dataset_dir) / FILE_NAME
    evaluation = settings.raw.get("eval_dataset")
    names = evaluation.split(",") if isinstance(evaluation, str) else evaluation if isinstance(evaluation, list) else []
    plan = gather(str(path), info_file, settings.datasets, settings, media_dir, instead)
    more = gather(str(path), info_file, tuple(str(name).strip() for name in names), settings, media_dir, instead)
    return replace(
        plan,
        datasets=plan.datasets + tuple(replace(item, evaluates=True) for item in more.datasets),
        undefined=tuple(dict.fromkeys(plan.undefined + more.undefined)),
        bad_entries=tuple(dict.fromkeys(plan.bad_entries + more.bad_entries)),
        passed_over=tuple(dict.fromkeys(plan.passed_over + more.passed_over)),
    )


def from_info(
    target: str,
    base: Path,
    name: str | None,
    overrides: TrainerSettings,
    media_dir: str | None,
    instead: Mapping[Path, Path],
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
    return gather(target, info_file, names, settings, media_dir, instead)


def from_data(path: Path, overrides: TrainerSettings, media_dir: str | None, instead: Mapping[Path, Path]) -> CheckPlan:
    """A bare data file: the entry that registers it beside it, else names inferred from its first rows."""
    info_file = path.parent / FILE_NAME
    if info_file.is_file():
        info = read_info(info_file)
        names = tuple(key for key, raw in info.items() if mapping(raw).get("file_name") == path.name)
        if names:
            beside = replace(overrides, dataset_dir=str(path.parent))
            return gather(str(path), info_file, names, beside, media_dir, instead)
    read = instead.get(path, path)
    entry = infer_entry(path.name, first_object(read))
    media_root = Path(media_dir or overrides.media_dir or path.parent)
    plan = DatasetPlan(entry, None, (read,), media_root, FILE_TYPES[path.suffix[1:]])
    return CheckPlan(str(path), replace(overrides, dataset_dir=str(path.parent)), (plan,))


def gather(
    target: str,
    info_file: Path,
    names: tuple[str, ...],
    settings: TrainerSettings,
    media_dir: str | None,
    instead: Mapping[Path, Path],
) -> CheckPlan:
    """Look the names up and find their files."""
    info = read_info(instead.get(info_file, info_file))
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
        found = look_up(name, raw, str(info_file), settings, media_root)
        if isinstance(found, DatasetPlan):
            plans.append(replace(found, files=tuple(instead.get(file, file) for file in found.files)))
        elif isinstance(found, BadEntry):
            bad.append(found)
        else:
            passed_over.append(name)
    return CheckPlan(target, settings, tuple(plans), tuple(undefined), tuple(bad), tuple(passed_over))


def look_up(
    name: str, raw: object, info_file: str, settings: TrainerSettings, media_root: Path
) -> DatasetPlan | BadEntry | None:
    """One entry's plan, or what the trainer stops at; None for rows that are not read here."""

    def bad(fault: EntryFault, found: str, expected: str, place: str = "") -> BadEntry:
        return BadEntry(name, info_file, found, expected, fault, place)

    if not isinstance(raw, Mapping):
        return bad(EntryFault.MALFORMED, f"a JSON {type(raw).__name__}", "an object")
    for key in ("columns", "tags"):
        if key in raw and not isinstance(raw[key], Mapping):
            return bad(EntryFault.MALFORMED, f"{key} is no object", f'"{key}": {{…}}, or no such key', key)
    entry = parse_entry(name, raw)
    wants_pairs = settings.raw.get("stage", "sft") in ("rm", "dpo")
    if settings.file is not None and entry.ranking is not wants_pairs:
        stage = settings.raw.get("stage", "sft")
        wanted = "a dataset with" if wants_pairs else "a dataset without"
        return bad(EntryFault.STAGE, f"ranking is {entry.ranking} at stage {stage}", f"{wanted} ranking", "ranking")
    if entry.ranking or not entry.is_local:
        return None
    if entry.file_name is None:
        return bad(EntryFault.MALFORMED, "no file_name", '"file_name": the data file')
    if entry.formatting not in FORMATTINGS:
        known = ", ".join(FORMATTINGS)
        return bad(EntryFault.MALFORMED, f"formatting {entry.formatting!r}", f"one of {known}", "formatting")
    path = Path(info_file).parent / entry.file_name
    files = data_files(path)
    if files is None:
        return bad(EntryFault.MISSING_FILE, f"{path} not found", "an existing file")
    kind = file_kind(files)
    if kind.startswith("!"):
        return bad(EntryFault.FILE_TYPE, kind[1:], f"files of one type: {', '.join(FILE_TYPES)}", "file_name")
    split = raw.get("split", "train")
    try:
        parts = parse_split(split if isinstance(split, str) else repr(split))
    except SplitFault as error:
        return bad(EntryFault.SPLIT, str(error), "train, or a part of it: train[:90%]", "split")
    samples = None if settings.raw.get("streaming") is True else raw.get("num_samples")
    if samples is not None and not (isinstance(samples, int) and 0 <= samples <= MOST_DRAWN):
        return bad(EntryFault.MALFORMED, f"num_samples is {samples!r:.40}", f"0 to {MOST_DRAWN} rows", "num_samples")
    drawn = None if samples is None else int(samples)
    return DatasetPlan(entry, info_file, files, media_root, kind, parts, num_samples=drawn)


def data_files(path: Path) -> tuple[Path, ...] | None:
    """A file, or everything in a folder in the order in which the system lists it, as the trainer takes it."""
    if path.is_file():
        # the loader takes the path for a pattern
        magic = glob.has_magic(str(path))
        return None if magic and str(path) not in glob.glob(str(path)) else (path,)  # noqa: PTH207
    if path.is_dir():
        return tuple(path / name for name in os.listdir(path))  # noqa: PTH208 (the trainer's own order)
    return None


def file_kind(files: tuple[Path, ...]) -> str:
    """The type that the first file's ending names; `!` and the reason where the loader refuses."""
    if not files:
        return "!an empty folder"
    kinds = [FILE_TYPES.get(path.suffix[1:] if path.suffix else "") for path in files]
    if kinds[0] is None:
        return f"!{files[0].name} has no ending that the loader knows"
    for path, kind in zip(files, kinds, strict=True):
        if kind != kinds[0]:
            return f"!{path.name} lies beside {files[0].name}"
        if path.is_dir():
            return f"!{path.name} is a folder"
    return kinds[0]


def merged(settings: TrainerSettings, overrides: TrainerSettings) -> TrainerSettings:
    """Command-line values win over the yaml's."""
    default = TrainerSettings()
    given = {
        name: getattr(overrides, name)
        for name in ("template", "model", "tokenizer", "media_dir", "cutoff_len", "environment")
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
    if FILE_TYPES.get(path.suffix[1:]) not in ("json", "parquet"):
        for chunk in Loader([path], FILE_TYPES[path.suffix[1:]]).chunks():
            yield from (raw.value for raw in chunk.raw_rows() if isinstance(raw.value, Mapping))
        return
    try:
        for raw in iter_rows(path):
            if isinstance(raw.value, Mapping):
                yield raw.value
    except SourceFault:
        return
