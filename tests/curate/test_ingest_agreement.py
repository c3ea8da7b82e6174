"""Held against the `datasets` library, whose forms they are: names in tar shards, splits, and media folders."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import datasets
import pytest
from datasets.data_files import SPLIT_KEYWORDS
from datasets.packaged_modules.webdataset.webdataset import WebDataset, base_plus_ext
from hypothesis import given
from hypothesis import strategies as st

from curate.ingest.places import SPLITS
from curate.ingest.raw import Blob, Intake, Options
from curate.ingest.registry import BY_NAME
from curate.ingest.webdataset import NAME, samples

SAMPLES = Path(__file__).parent / "samples"


@given(st.text("ab./\n_", max_size=12))
def test_a_member_s_name_is_split_as_there(name: str) -> None:
    found = NAME.match(name)
    assert (found.groups() if found else (None, None)) == base_plus_ext(name)


def test_a_shard_s_samples_are_those_of_datasets() -> None:
    path = SAMPLES / "webdataset" / "00000.tar"
    with tarfile.open(path) as archive:
        members = [(info.name, archive.extractfile(info)) for info in archive]
        theirs = list(WebDataset._get_pipeline_from_tar(str(path), iter(members)))
    ours = [found for found, _ in samples(path)]
    assert [set(sample) - {"__key__", "__url__"} for sample in theirs] == [set(sample) for sample in ours]
    assert [sample["jpg"] for sample in theirs] == [sample["jpg"] for sample in ours]
    assert [sample["txt"] for sample in theirs] == [sample["txt"].decode() for sample in ours]


def test_folders_of_splits_are_named_as_there() -> None:
    assert {split: sorted(names) for split, names in ((str(key), value) for key, value in SPLIT_KEYWORDS.items())} == {
        split: sorted(name for name, known in SPLITS.items() if known == split) for split in set(SPLITS.values())
    }


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_media_folder_s_rows_are_those_of_datasets(split: str, tmp_path: Path) -> None:
    folder = tmp_path / "hf-folder"
    shutil.copytree(SAMPLES / "hf-folder", folder)
    theirs = datasets.load_dataset(
        "imagefolder", data_dir=str(folder), split=split, cache_dir=str(tmp_path / "cache")
    ).cast_column("image", datasets.Image(decode=False))
    ours = list(BY_NAME["hf-folder"].read(Intake(folder, folder, Options(split=split))))
    assert [row["text"] for row in theirs] == [item.caption for item in ours]
    assert [Path(row["image"]["path"]).relative_to(folder).as_posix() for row in theirs] == [
        item.media[0][1] for item in ours
    ]


def test_a_table_s_media_are_those_of_datasets(tmp_path: Path) -> None:
    theirs = datasets.load_dataset(
        "parquet", data_dir=str(SAMPLES / "parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    ours = list(BY_NAME["parquet"].read(Intake(SAMPLES / "parquet", SAMPLES)))
    blobs = [medium for item in ours for _, medium in item.media if isinstance(medium, Blob)]
    assert [row["image"]["bytes"] for row in theirs] == [blob.data for blob in blobs]
