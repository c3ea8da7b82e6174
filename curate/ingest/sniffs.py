"""What a source looks like, and which formats look so: by its suffix, its folder's files and its first rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from json import decoder
from pathlib import Path

from curate.ingest import captions, hub, shapes, tables
from curate.ingest import hf_folder as metadata
from curate.ingest import subtitles as cues
from curate.ingest import webdataset as tars
from curate.ingest.json_object import ObjectReader
from curate.ingest.places import SPLITS
from curate.ingest.raw import Options, kind_by_suffix

PEEK_FILES = 10_000
PEEK_VALUES = 64
PEEK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Sight:
    """A source at first sight.

    suffix: of the file, or of a folder's shards. files: in a folder and below it. rows: the first ones. looks: the
    forms of rows that these fit. keys: of a JSON object that is no row, with the first value of each.
    """

    path: Path
    suffix: str = ""
    files: tuple[Path, ...] = ()
    rows: tuple[Mapping[str, object], ...] = ()
    looks: frozenset[str] = frozenset()
    keys: Mapping[str, object] | None = None
    columns: Mapping[str, str] | None = None


def sight(path: Path, options: Options) -> Sight:
    """Look at a source; reads the first rows of a file of rows, and names in a folder."""
    files = tuple(sorted(islice(filter(Path.is_file, path.rglob("*")), PEEK_FILES))) if path.is_dir() else ()
    top = {item.suffix.lower() for item in files if item.parent == path} & set(tables.SUFFIXES)
    suffix = path.suffix.lower() if not path.is_dir() else next(iter(top)) if len(top) == 1 else ""
    if suffix not in tables.SUFFIXES or is_of_media(files):
        return Sight(path, "" if files else suffix, files, columns=options.columns)
    first = tables.shards(path)[0]
    if suffix == ".json" and options.rows_at is None and (keys := object_keys(first)) is not None:
        return Sight(path, suffix, files, keys=keys)
    rows = tables.peek(first, options)
    looks = frozenset(look.name for look in shapes.looks(rows)) if not options.columns else frozenset()
    return Sight(path, suffix, files, rows, looks, columns=options.columns)


def is_of_media(files: tuple[Path, ...]) -> bool:
    """Whether a folder holds media, saved datasets or metadata rather than shards of rows."""
    names = {item.name for item in files}
    return bool(names & {hub.SAVED, hub.SAVED_SPLITS, *metadata.METADATA}) or any(
        kind_by_suffix(item.name) is not None for item in files
    )


def object_keys(path: Path) -> Mapping[str, object] | None:
    """The first keys of a file that is one object with rows inside; None where the object is itself a row."""
    with path.open("rb") as file:
        text = file.read(PEEK_BYTES).decode("utf-8-sig", errors="ignore").lstrip()
    if not text.startswith("{"):
        return None
    try:
        value, end = decoder.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        return first_keys(path) if len(text) > PEEK_BYTES // 2 else None  # broken, which its reader will say
    firsts = {key: first_of(inner) for key, inner in value.items()}
    is_row = bool(shapes.looks([value])) or not captions.missing(value, {})
    is_row |= not any(isinstance(first, Mapping) and isinstance(value[key], list) for key, first in firsts.items())
    return None if is_row or text[end:].strip() else firsts


def first_keys(path: Path) -> Mapping[str, object]:
    """The keys of a large object up to the first long list in it, each with its value or the value's first element."""
    found: dict[str, object] = {}
    for number, (key, value) in enumerate(ObjectReader.of(path).walk()):
        found.setdefault(key, value)
        if number > PEEK_VALUES:
            break
    return found


def first_of(value: object) -> object:
    """A list's first element."""
    return value[0] if isinstance(value, list) and value else value


def table(seen: Sight, suffix: str) -> bool:
    """Whether a file of rows has this suffix, and rows of no form but that of columns."""
    if seen.suffix != suffix or seen.looks or seen.keys is not None:
        return False
    names = {str(key) for row in seen.rows for key in row}
    return not seen.rows or not captions.missing(names, seen.columns or {})


def csv(seen: Sight) -> bool:
    """A comma-separated table, whatever its columns: its reader says what is missing."""
    return seen.suffix == ".csv" and not seen.looks


def tsv(seen: Sight) -> bool:
    """A tab-separated table."""
    return seen.suffix == ".tsv" and not seen.looks


def json(seen: Sight) -> bool:
    """Rows of columns in JSON."""
    return table(seen, ".json")


def jsonl(seen: Sight) -> bool:
    """Rows of columns in JSON lines."""
    return table(seen, ".jsonl") or table(seen, ".ndjson")


def parquet(seen: Sight) -> bool:
    """Parquet with rows of columns."""
    return table(seen, ".parquet")


def arrow(seen: Sight) -> bool:
    """Arrow with rows of columns."""
    return table(seen, ".arrow") or table(seen, ".feather")


def alpaca(seen: Sight) -> bool:
    """Rows of that form."""
    return "alpaca" in seen.looks


def label_studio(seen: Sight) -> bool:
    """Rows of that form."""
    return "label-studio" in seen.looks


def llava(seen: Sight) -> bool:
    """Rows of that form."""
    return "llava" in seen.looks


def minicpm(seen: Sight) -> bool:
    """Rows of that form."""
    return "minicpm" in seen.looks


def ms_swift(seen: Sight) -> bool:
    """Rows of that form."""
    return "ms-swift" in seen.looks


def openai(seen: Sight) -> bool:
    """Rows of that form."""
    return "openai" in seen.looks


def qwen(seen: Sight) -> bool:
    """Rows of that form."""
    return "qwen" in seen.looks


def sharegpt(seen: Sight) -> bool:
    """Rows of that form."""
    return "sharegpt" in seen.looks


def coco(seen: Sight) -> bool:
    """An object with images that have ids."""
    first = (seen.keys or {}).get("images")
    return isinstance(first, Mapping) and "id" in first and "file_name" in first


def webdataset(seen: Sight) -> bool:
    """A tar file, or a folder of them."""
    names = [item.name.lower() for item in seen.files if item.parent == seen.path] or [seen.path.name.lower()]
    return any(name.endswith(tars.SUFFIXES) for name in names)


def datasets(seen: Sight) -> bool:
    """A folder of save_to_disk."""
    return bool(seen.files) and hub.is_saved(seen.path)


def hf_folder(seen: Sight) -> bool:
    """A folder with metadata at its top or in a split's folder, or one whose folders' names are to be captions."""
    if not seen.files:
        return False
    if (seen.columns or {}).get("caption") == metadata.LABEL:
        return True
    tops = {seen.path, *(seen.path / item.name for item in seen.path.iterdir() if item.name.lower() in SPLITS)}
    return any(item.name in metadata.METADATA and item.parent in tops for item in seen.files)


def folder(seen: Sight) -> bool:
    """Media with texts of the same name."""
    return not hf_folder(seen) and has_beside(seen, (".txt", ".json"))


def subtitles(seen: Sight) -> bool:
    """A subtitle file, or media with some."""
    return seen.suffix in cues.SUFFIXES or has_beside(seen, cues.SUFFIXES)


def has_beside(seen: Sight, suffixes: tuple[str, ...]) -> bool:
    """Whether a medium has a file of its name and one of these endings beside it."""
    texts = {item.with_suffix("") for item in seen.files if item.suffix.lower() in suffixes}
    texts |= {item.with_suffix("") for item in texts} if suffixes == cues.SUFFIXES else set()
    return any(item.with_suffix("") in texts for item in seen.files if kind_by_suffix(item.name) is not None)


def never(seen: Sight) -> bool:
    """A format that no look can tell from another."""
    return False
