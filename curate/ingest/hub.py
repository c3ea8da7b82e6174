"""A dataset of the `datasets` library: a folder of save_to_disk, a folder of data files, or a name on the Hub."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from curate.ingest.places import unwanted, wanted
from curate.ingest.raw import Intake, RawItem
from curate.ingest.shapes import read_any
from validators.errors import UsageFault

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
SAVED, SAVED_SPLITS = "state.json", "dataset_dict.json"
BATCH_ROWS = 32
SOURCES = "a folder, or the owner/name of a dataset on the Hub"


def read(intake: Intake) -> Iterator[RawItem]:
    """The rows of the wanted splits; media stay as they are stored, nothing is decoded."""
    splits = splits_of(intake)
    for split in wanted(intake, tuple(splits)):
        rows = plain_rows(splits[split], intake.path)
        yield from (replace(item, split=split) for item in read_any(intake.path, rows, intake.options))


def unread(intake: Intake) -> tuple[str, ...]:
    """The splits that were not asked for."""
    return unwanted(intake, tuple(splits_of(intake)))


def splits_of(intake: Intake) -> dict[str, Any]:
    """The dataset's splits, not yet read."""
    import datasets

    datasets.disable_progress_bars()
    with explained(intake.path):
        return saved(intake.path) if is_saved(intake.path) else loaded(intake)


def is_saved(path: Path) -> bool:
    """Whether a folder was written by save_to_disk."""
    return (path / SAVED).is_file() or (path / SAVED_SPLITS).is_file()


def saved(path: Path) -> dict[str, Any]:
    """Splits of a saved dataset, memory-mapped."""
    from datasets import Dataset, load_from_disk

    found = load_from_disk(str(path))
    return {str(found.split or "train"): found} if isinstance(found, Dataset) else dict(found)


def loaded(intake: Intake) -> dict[str, Any]:
    """Splits of a repository, on disk or on the Hub, streamed."""
    from datasets import load_dataset

    options = intake.options
    if intake.path.exists():
        return dict(load_dataset(str(intake.path), options.config, revision=options.revision, streaming=True))
    return from_hub(hub_name(intake.path), options.config, options.revision)


@lru_cache(maxsize=16)
def from_hub(name: str, config: str | None, revision: str | None) -> dict[str, Any]:
    """Splits of a repository on the Hub. Remembered, so that every look at it is at the same commit."""
    from datasets import load_dataset

    return dict(load_dataset(name, config, revision=revision, streaming=True))


def hub_name(path: Path) -> str:
    """The owner/name that a path which is not there stands for."""
    name = "/".join(path.parts[-2:])
    if not HUB_NAME.fullmatch(name):
        raise UsageFault(path, "not found", SOURCES)
    return name


def plain_rows(rows: Any, path: Path) -> Iterator[object]:  # noqa: ANN401 (datasets has no types)
    """Rows as Python values with media undecoded."""
    from datasets import Audio, Image, Video

    features = rows.features or {}
    for name, feature in features.items():
        inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) else None)
        if isinstance(feature, Audio | Image | Video):
            rows = rows.cast_column(name, type(feature)(decode=False))
        elif isinstance(inner, Audio | Image | Video):
            plain = type(inner)(decode=False)
            rows = rows.cast_column(name, [plain] if isinstance(feature, list) else type(feature)(plain))
    with explained(path):
        for batch in rows.with_format("arrow").iter(batch_size=BATCH_ROWS):
            yield from batch.to_pylist()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What `datasets` raises, in one message."""
    try:
        yield
    except UsageFault:
        raise
    except Exception as error:  # it raises many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        found = f"cannot be loaded by datasets: {reason}"
        if path.exists():
            raise UsageFault(path, found, "a dataset") from error
        name = hub_name(path)
        raise UsageFault(name, found, SOURCES, cure_of(reason, name)) from error


def cure_of(reason: str, name: str) -> str:
    """What to do where the Hub does not give a dataset (datasets 4.0: load.py, dataset_module_factory). Its errors come
    without their causes, so that their words have to tell."""
    from huggingface_hub import constants, get_token

    log_in = "set HF_TOKEN, or run `hf auth login`"
    if "gated" in reason:
        page = f"{constants.ENDPOINT}/datasets/{name}"
        return f"ask for access at {page}" + ("" if get_token() else f", then {log_in}")
    if reason.startswith("Revision "):
        return "a branch, a tag or the id of a commit for revision"
    if "cannot be accessed" in reason:
        token = "whether the token may read it" if get_token() else f"where it is private, {log_in}"
        return f"check the name, and {token}"
    return "check the name, the network, HF_ENDPOINT, HF_HUB_OFFLINE and HF_TOKEN"
