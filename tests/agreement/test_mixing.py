"""Whether the datasets of a run can be merged and split, and how many rows come out, as the real trainer does it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import pytest

from tests.scaffold import TAGS
from validators.engine import CheckOptions, check
from validators.replay.mixing import drawn

pytestmark = pytest.mark.trainer
STOPS = {"MIX101", "MIX201", "MIX202"}
TURNS = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "x"}]
FORMS = ("paths", "single", "empty", "null", "no column", "bytes", "objects", "lists")


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """No progress bars, no warnings."""
    import datasets
    from llamafactory.data import converter, loader

    datasets.disable_progress_bars()
    for module in (converter, loader):
        module.logger.setLevel(60)
    yield


def write(path: Path, form: str, rows: int = 1) -> str:
    """A data file whose videos have this form; returns its name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    item = {"paths": ["a.mp4"], "single": "a.mp4", "empty": [], "null": None, "lists": [["a.jpg"]]}
    if form in ("bytes", "objects"):
        made = pa.array([[b"abc"]], pa.list_(pa.binary()))
        if form == "objects":
            made = pa.array([[{"bytes": b"abc", "path": None}]])
        pq.write_table(pa.table({"messages": [TURNS], "videos": made}), path.with_suffix(".parquet"))
        return path.with_suffix(".parquet").name
    row: dict[str, Any] = {"messages": TURNS} | ({"videos": item[form]} if form in item else {})
    path.with_suffix(".json").write_text(json.dumps([row] * rows))
    return path.with_suffix(".json").name


def lay(folder: Path, files: dict[str, tuple[str, int]], **settings: object) -> Path:
    """Datasets by name, each a form and a number of rows."""
    folder.mkdir()
    info = {}
    for name, (form, rows) in files.items():
        columns = {"messages": "messages"} | ({} if form == "no column" else {"videos": "videos"})
        file = write(folder / name, form, rows)
        info[name] = {"file_name": file, "formatting": "sharegpt", "columns": columns, "tags": TAGS}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    train = {"stage": "sft", "do_train": True, "dataset": ",".join(files), "dataset_dir": str(folder)}
    (folder / "train.yaml").write_text(json.dumps(train | settings))
    return folder / "train.yaml"


def truth(folder: Path, train: Path, **settings: Any) -> int | str:
    """The rows that the real trainer merges, or its error, in the merge or the split."""
    from llamafactory.data.data_utils import split_dataset
    from llamafactory.data.loader import _get_merged_dataset
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import Seq2SeqTrainingArguments

    names = json.loads(train.read_text())["dataset"]
    data = DataArguments(template="qwen2_vl", dataset=names, dataset_dir=str(folder), **settings)
    model = ModelArguments(model_name_or_path="none", cache_dir=str(folder / "cache"))
    training = Seq2SeqTrainingArguments(output_dir=str(folder / "out"), use_cpu=True, report_to=[])
    try:
        merged = _get_merged_dataset(data.dataset, model, data, training, "sft")
        split_dataset(merged, None, data, 7)
    except ValueError as error:
        return str(error)
    return len(merged)


def stops(train: Path) -> set[str]:
    """Our findings that say so."""
    return {finding.code for finding in check(train, CheckOptions(template="qwen2_vl")).findings} & STOPS


def test_forms_of_media(tmp_path: Path) -> None:
    """Every pair of forms: merged, or not aligned."""
    for number, (left, right) in enumerate(combinations_with_replacement(FORMS, 2)):
        folder = tmp_path / str(number)
        train = lay(folder, {"a": (left, 1), "b": (right, 1)})
        real = truth(folder, train)
        assert stops(train) == ({"MIX202"} if isinstance(real, str) else set()), (left, right, real)
        assert isinstance(real, int) or "aligned" in real


@pytest.mark.parametrize("size", [1, 2, 4, 5, 6, 0.1, 0.5, 0.75, 0.81, 0.99, 1.0, 4.5, 5.5])
def test_hold_out(size: float, tmp_path: Path) -> None:
    """Three and two rows: the split leaves some to train on, or fails."""
    train = lay(tmp_path / "p", {"a": ("paths", 3), "b": ("paths", 2)}, val_size=size)
    real = truth(tmp_path / "p", train, val_size=size)
    assert stops(train) == ({"MIX201"} if isinstance(real, str) else set()), real


@pytest.mark.parametrize("strategy", ["concat", "interleave_under", "interleave_over", "interleave_once"])
def test_strategies(strategy: str, tmp_path: Path) -> None:
    """The number of rows that each strategy merges, and the one that fails."""
    train = lay(tmp_path / "p", {"a": ("paths", 5), "b": ("paths", 2)}, mix_strategy=strategy)
    real = truth(tmp_path / "p", train, mix_strategy=strategy)
    parts = drawn([5, 2], {"mix_strategy": strategy})
    assert stops(train) == ({"MIX101"} if isinstance(real, str) else set()), real
    assert real == sum(parts) if parts is not None else isinstance(real, str)


@pytest.mark.parametrize("strategy", ["interleave_under", "interleave_over"])
def test_probabilities(strategy: str, tmp_path: Path) -> None:
    """With probabilities, what is to be expected: within a fifth, of some hundred rows."""
    settings = {"mix_strategy": strategy, "interleave_probs": "0.7,0.3"}
    train = lay(tmp_path / "p", {"a": ("paths", 500), "b": ("paths", 300)}, **settings)
    real = truth(tmp_path / "p", train, **settings)
    parts = drawn([500, 300], settings)
    assert isinstance(real, int) and parts is not None
    assert abs(sum(parts) - real) < real / 5
