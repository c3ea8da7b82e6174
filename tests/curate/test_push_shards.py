from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.writers.built import read_build
from curate.writers.card import BEGIN, CardDataset, card, size_category
from curate.writers.shards import groups, write_shards
from tests.curate.push_scaffold import build_demo
from validators.errors import UsageFault
from validators.model import MediaKind


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("shards"))


def test_shards_are_closed_by_size_and_numbered_and_keep_the_order(built: Path, tmp_path: Path) -> None:
    build = read_build(built)
    dataset = next(item for item in build.datasets if item.name == "demo_image")
    shards = write_shards(dataset, build.media_root, tmp_path, shard_bytes=40_000, group_bytes=1)
    names = [shard.path.name for shard in shards]
    assert len(shards) > 1
    assert names == [f"train-{index:05d}-of-{len(shards):05d}.parquet" for index in range(len(shards))]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    rows = [row for shard in shards for row in pq.read_table(shard.path).to_pylist()]
    local = json.loads((built / "demo_image.json").read_text())
    assert [row["messages"] for row in rows] == [row["messages"] for row in local]
    assert pq.ParquetFile(shards[0].path).num_row_groups == shards[0].rows, "a row group a row at this limit"


def test_a_group_is_closed_once_it_is_full() -> None:
    rows = iter([({"n": number}, 10) for number in range(7)])
    assert [(len(group), size) for group, size in groups(rows, 25)] == [(3, 30), (3, 30), (1, 10)]


def test_the_same_build_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    build = read_build(built)
    for dataset in build.datasets:
        once = write_shards(dataset, build.media_root, tmp_path / "once" / dataset.name)
        again = write_shards(dataset, build.media_root, tmp_path / "again" / dataset.name)
        assert [shard.path.read_bytes() for shard in once] == [shard.path.read_bytes() for shard in again]


def test_rows_and_manifest_must_agree(built: Path, tmp_path: Path) -> None:
    build = read_build(built)
    with pytest.raises(UsageFault, match="8 rows"):
        write_shards(replace(build.datasets[0], rows=9), build.media_root, tmp_path)


def test_media_that_the_manifest_does_not_name_are_not_read(built: Path, tmp_path: Path) -> None:
    build = read_build(built)
    with pytest.raises(UsageFault, match="not in the manifest"):
        write_shards(replace(build.datasets[0], media={}), build.media_root, tmp_path)


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "a\nb"])
def test_a_dataset_name_cannot_leave_the_folder(built: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(built, tmp_path / "built")
    manifest = json.loads((built / "manifest.json").read_text())
    manifest["datasets"] = {name: manifest["datasets"]["demo_image"]}
    (tmp_path / "built" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageFault, match="without folders"):
        read_build(tmp_path / "built")


def test_an_owners_card_keeps_its_words_and_a_broken_one_is_mended() -> None:
    item = CardDataset("talks", 12, 3, "data/talks/train-*.parquet", (MediaKind.IMAGE,), 4, {"features": []})
    first = card("acme/demo", [item], has_files=False)
    owned = first.replace("---\n" + BEGIN, "---\nBefore.\n" + BEGIN) + "After.\n"
    again = card("acme/demo", [replace(item, rows=2000)], has_files=False, existing=owned)
    assert again.count(BEGIN) == 1
    assert again.index("Before.") < again.index("| `talks` | 2000 |") < again.index("After.")
    assert "1K<n<10K" in again
    assert "configs:" in card("acme/demo", [item], has_files=False, existing="---\n: [\n---\nWords.\n")


@pytest.mark.parametrize(("rows", "word"), [(0, "n<1K"), (1000, "1K<n<10K"), (5_000_000, "1M<n<10M"), (10**7, "n>10M")])
def test_size_categories_are_the_hubs(rows: int, word: str) -> None:
    assert size_category(rows) == word
