"""Whole runs: what a report says of a set of data files is what the real `llamafactory.data.get_dataset` makes of them.

Everything runs as in a training: loading, merging, max_samples, preprocessing in batches, packing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.compare import Arena
from tests.agreement.faults import Row, entry_for
from tests.agreement.media_factory import make_stock
from tests.agreement.oracle import LIMITS, Oracle, said
from validators.engine import CheckOptions, check
from validators.report.model import REACHING, Report

pytestmark = pytest.mark.trainer


def talk(question: str = "What is it?", answer: str = "It is a cat.", **media: Any) -> Row:
    """One question, one answer."""
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **media}


def picture(name: str = "images/1.jpg", question: str = "<image>What is it?") -> Row:
    """A question about a picture."""
    return talk(question, images=[name])


TEXT = [talk(f"Number {n}?", "Yes. " * n) for n in range(1, 9)]
PICTURES = [picture(), picture("p1_RGB.png"), picture("images/2.jpg", "Look: <image> Well?")]
DROPPED: Row = {"messages": [{"role": "user", "content": "And?"}]}
MISSING = picture("nowhere.jpg")
CUT = picture("cut.jpg")
LONG = talk("word " * 300, "answer " * 300)


@dataclass(frozen=True)
class Run:
    """Files by dataset name, in the order of the yaml, and settings."""

    files: Mapping[str, list[Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What an entry has beside, or otherwise than, the careful one."""
    names: tuple[str, ...] | None = None
    """The yaml's datasets, where they are others than the files."""
    raw: Mapping[str, str] = field(default_factory=dict)
    """Text of data files that no JSON writer would give."""


RUNS = {
    "text": Run({"a": TEXT}),
    "pictures": Run({"a": PICTURES}),
    "text and pictures in one file": Run({"a": [*TEXT, *PICTURES]}),
    "dropped rows among others": Run({"a": [DROPPED, *TEXT, DROPPED, *PICTURES]}),
    "all rows dropped": Run({"a": [DROPPED, DROPPED]}),
    "one missing file": Run({"a": [*PICTURES, MISSING]}),
    "one cut picture": Run({"a": [*PICTURES, CUT, *TEXT]}),
    "two datasets": Run({"a": TEXT, "b": PICTURES}),
    "two datasets, pictures first": Run({"a": PICTURES, "b": TEXT}),
    "three datasets, one all dropped": Run({"a": TEXT, "b": [DROPPED], "c": PICTURES}),
    "the second dataset crashes": Run({"a": TEXT, "b": [MISSING]}),
    "pictures and clips apart": Run({"a": PICTURES, "b": [talk("<video>Well?", videos=["short.mp4"])]}),
    "max_samples before the bad row": Run({"a": [*TEXT, MISSING]}, {"max_samples": 8}),
    "max_samples over the bad row": Run({"a": [*PICTURES, MISSING, *PICTURES]}, {"max_samples": 4}),
    "max_samples of each dataset": Run({"a": TEXT, "b": PICTURES}, {"max_samples": 2}),
    "max_samples leaves only dropped rows": Run({"a": [DROPPED, *TEXT]}, {"max_samples": 1}),
    "rows cut": Run({"a": [*TEXT, LONG, *PICTURES]}, {"cutoff_len": 90}),
    "rows cut, history masked": Run({"a": [LONG, *TEXT]}, {"cutoff_len": 64, "mask_history": True}),
    "packing": Run({"a": [*TEXT, LONG, *PICTURES]}, {"cutoff_len": 256, "packing": True}),
    "neat packing": Run({"a": [*TEXT, LONG]}, {"cutoff_len": 200, "neat_packing": True}),
    "packing, rows dropped": Run({"a": [*TEXT, DROPPED, DROPPED]}, {"cutoff_len": 128, "packing": True}),
    "packing, all dropped": Run({"a": [DROPPED]}, {"packing": True}),
    "packing of two datasets": Run({"a": TEXT, "b": [LONG, *TEXT]}, {"cutoff_len": 180, "packing": True}),
    "first batch all dropped": Run({"a": [DROPPED, DROPPED, *TEXT]}, {"preprocessing_batch_size": 2}),
    "later batch all dropped": Run({"a": [*TEXT[:2], DROPPED, DROPPED, *TEXT]}, {"preprocessing_batch_size": 2}),
    "pictures only in a later batch": Run({"a": [*TEXT[:2], *PICTURES, *TEXT]}, {"preprocessing_batch_size": 2}),
    "pictures only after a thousand rows": Run({"a": [*TEXT * 126, *PICTURES]}),
    "text only after a thousand rows": Run({"a": [*PICTURES, *TEXT * 126]}),
    "json lines": Run({"a": [*TEXT, *PICTURES]}, {}, {"a": {"file_name": "a.jsonl"}}),
    "num_samples": Run({"a": TEXT * 2}, {}, {"a": {"num_samples": 16}}),
    "a list and a string": Run({"a": [picture(), talk("<image>?", images="images/1.jpg")]}),
    "a string alone": Run({"a": [talk("<image>?", images="images/1.jpg")]}),
    "content of two types": Run({"a": [talk(), talk("Number?", 42)]}),  # type: ignore[arg-type]
    "an empty list": Run({"a": []}),
    "an empty file": Run({"a": []}, raw={"a.json": ""}),
    "half a file": Run({"a": []}, raw={"a.json": json.dumps(TEXT)[:-40]}),
    "a file of one object": Run({"a": []}, raw={"a.json": json.dumps(TEXT[0])}),
    "a dataset that is not defined": Run({"a": TEXT}, names=("a", "b")),
    "a file that is not there": Run({"a": TEXT}, {}, {"a": {"file_name": "other.json"}}),
    "a misspelt column": Run({"a": PICTURES}, {}, {"a": {"columns": {"messages": "messages", "image": "images"}}}),
    "a column that no row has": Run({"a": TEXT}, {}, {"a": {"columns": {"messages": "messages", "images": "images"}}}),
    "no tags": Run({"a": TEXT}, {}, {"a": {"tags": None}}),
    "tags of other roles": Run({"a": TEXT}, {}, {"a": {"tags": {"role_tag": "role", "content_tag": "content"}}}),
    "the same dataset twice": Run({"a": TEXT}, names=("a", "a")),
}


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Media and models, made once."""
    work = tmp_path_factory.mktemp("runs")
    yield Arena(make_stock(work / "media", 11, small=True), work)
    shutil.rmtree(work, ignore_errors=True)


def lay_out(run: Run, folder: Path) -> None:
    """Data files and dataset_info.json."""
    info = {}
    for name, rows in run.files.items():
        entry = entry_for(rows) | {"file_name": f"{name}.json"} | run.entries.get(name, {})
        info[name] = {key: value for key, value in entry.items() if value is not None}
        lines = entry["file_name"].endswith(".jsonl")
        text = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows)
        if entry["file_name"].startswith(f"{name}."):
            (folder / entry["file_name"]).write_text(text)
    for file, text in run.raw.items():
        (folder / file).write_text(text)
    (folder / "dataset_info.json").write_text(json.dumps(info))


def trained(run: Run, arena: Arena, family: str, folder: Path) -> list[int] | str:
    """The length of every example of the real training set, in order; the error where there is none."""
    from llamafactory.data import get_dataset
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import Seq2SeqTrainingArguments

    settings = {"media_dir": str(arena.stock.folder), "cutoff_len": 2048, **run.settings}
    chosen = arena.family(family)
    try:
        template = Oracle(chosen, folder, settings).template
        arguments = DataArguments(
            template=chosen.template,
            dataset=",".join(run.names or tuple(run.files)),
            dataset_dir=str(folder),
            overwrite_cache=True,
            **{key: value for key, value in settings.items() if key not in LIMITS},
        )
        model_args = ModelArguments(model_name_or_path=str(chosen.folder), cache_dir=str(folder / ".cache"))
        training = Seq2SeqTrainingArguments(output_dir=str(folder / "out"), report_to=[], use_cpu=True)
        tools = {"tokenizer": chosen.processor.tokenizer, "processor": chosen.processor}
        module = get_dataset(template, model_args, arguments, training, stage="sft", **tools)
        return [len(ids) for ids in module["train_dataset"]["input_ids"]]
    except Exception as error:
        return said(error)


def foretold(report: Report, run: Run) -> list[int] | str:
    """The same by the report: rows that reach the trainer's examples, in order; packed where the settings say so."""
    from llamafactory.data.processor.processor_utils import greedy_knapsack

    if report.stops:
        return "stops"
    lengths: list[int] = []
    reaching = 0
    for dataset in report.datasets:
        assert dataset.predictions is not None
        for row in sorted(dataset.predictions):
            prediction = dataset.predictions[row]
            if prediction.tokens is not None:
                lengths.append(prediction.tokens)
            reaching += prediction.outcome in REACHING
    assert len(lengths) >= reaching
    if run.settings.get("packing") or run.settings.get("neat_packing"):
        limit = int(run.settings.get("cutoff_len", 2048))
        return [limit] * len(greedy_knapsack(lengths, limit - 1))
    return lengths


@pytest.mark.parametrize("family", ["qwen2_vl", "v-2.6"])
@pytest.mark.parametrize("name", RUNS)
def test_a_run_ends_as_its_report_says(
    name: str, family: str, arena: Arena, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trainer stops where the report stops; elsewhere it has as many examples, of the same lengths in order."""
    run = RUNS[name]
    lay_out(run, tmp_path)
    chosen = arena.family(family)
    train = {"stage": "sft", "template": chosen.template, "model_name_or_path": str(chosen.folder)}
    train |= {"dataset": ",".join(run.names or tuple(run.files)), "dataset_dir": str(tmp_path), "output_dir": "out"}
    train |= {"media_dir": str(arena.stock.folder), "cutoff_len": 2048, **run.settings}
    (tmp_path / "train.yaml").write_text(json.dumps(train))
    report = check(tmp_path / "train.yaml", CheckOptions(keep_rows=True))
    said_before = foretold(report, run)
    truth = trained(run, arena, family, tmp_path)
    capsys.readouterr()
    if isinstance(truth, str):
        assert said_before == "stops", f"the trainer stops ({truth}), the report gives {said_before}"
    elif "num_samples" in run.entries.get("a", {}) and not isinstance(said_before, str):
        assert sorted(said_before) == sorted(truth)  # the trainer draws them at random
    else:
        assert said_before == truth
