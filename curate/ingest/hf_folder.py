"""ImageFolder, AudioFolder and VideoFolder of `datasets`: media with a metadata file, or in folders by class.

datasets 4.0.0, packaged_modules/folder_based_builder: metadata.csv, .jsonl or .parquet, whose `file_name`,
`*_file_name`, `file_names` or `*_file_names` are relative to it; without one, a file's folder is its label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from curate.ingest import captions, tables
from curate.ingest.fields import Fields
from curate.ingest.given import beneath, by_suffix
from curate.ingest.places import SPLITS, from_root, is_hidden, media_files, unwanted, wanted
from curate.ingest.raw import Intake, Media, NoUse, RawItem, kind_by_suffix
from validators.errors import UsageFault

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
LABEL = "label"
ONE, SEVERAL = "file_name", "file_names"
COLUMNS = (*captions.TEXTS, "question", "label", "system", "tools")


def read(intake: Intake) -> Iterator[RawItem]:
    """The rows of the wanted splits, by metadata file and then by row."""
    splits = splits_of(intake.path)
    for split in wanted(intake, tuple(splits)):
        for folder in splits[split]:
            found = metadata_files(folder)
            if {file.suffix for file in found} not in ({".csv"}, {".jsonl"}, {".parquet"}, set()):
                raise UsageFault(folder, "metadata files of several kinds", "one kind")
            rows = by_metadata(intake, found) if found else by_class(intake, folder)
            yield from (replace(item, split=split) for item in rows)


def unread(intake: Intake) -> tuple[str, ...]:
    """The splits that were not asked for."""
    return unwanted(intake, tuple(splits_of(intake.path)))


def splits_of(path: Path) -> Mapping[str, list[Path]]:
    """Folders by the split that their name stands for; the whole folder is `train` where none is."""
    found: dict[str, list[Path]] = {}
    for item in sorted(path.iterdir()):
        if item.is_dir() and item.name.lower() in SPLITS:
            found.setdefault(SPLITS[item.name.lower()], []).append(item)
    return found or {"train": [path]}


def metadata_files(folder: Path) -> list[Path]:
    """The metadata files below a folder; hidden ones are passed over."""
    return sorted(file for name in METADATA for file in folder.rglob(name) if not is_hidden(file, folder))


def by_metadata(intake: Intake, files: list[Path]) -> Iterator[RawItem]:
    """The rows of metadata files."""
    for file in files:
        folder = file.parent.resolve()

        def item(fields: Fields, folder: Path = folder) -> RawItem:
            return captions.with_media(fields, media_of(fields, from_root(folder, intake.media_root)))

        yield from tables.shaped(file, tables.rows(file, intake.options), item, intake.options)


def media_of(fields: Fields, folder: str) -> Media:
    """The media that the row names, in the order of its columns."""
    media: Media = ()
    claimed = set(fields.options.columns.values())
    for name, value in fields.value.items():
        if name in claimed:
            continue
        if name in (ONE, SEVERAL) or name.endswith((f"_{ONE}", f"_{SEVERAL}")):
            fields.read.add(name)
            if value is not None:
                media += tuple((kind, beneath(folder, medium)) for kind, medium in by_suffix(value))
    if not media:
        raise NoUse("no file_name")
    return media


def by_class(intake: Intake, folder: Path) -> Iterator[RawItem]:
    """Media labelled by their folder, where `columns: {caption: label}` makes the label the caption."""
    if intake.options.columns.get("caption") != LABEL:
        cure = "columns: {caption: label} takes the folders' names for captions"
        raise UsageFault(folder, "no metadata file", " or ".join(METADATA), cure)
    for row, file in enumerate(media_files(folder)):
        kind = kind_by_suffix(file.name)
        if kind is None:
            continue
        try:
            media = ((kind, from_root(file, intake.media_root)),)
        except NoUse as reason:
            yield RawItem(intake.path, row, problem=str(reason))
            continue
        yield captions.with_media(Fields(intake.path, row, {LABEL: file.parent.name}, intake.options), media)
