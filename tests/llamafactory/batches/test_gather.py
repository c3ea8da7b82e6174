"""What a check says of a run's batches."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.scaffold import Overlay
from validators.engine import CheckOptions, check
from validators.findings import Finding
from validators.llamafactory.batches.sampler import Sampling, cut, sampling_of
from validators.model import Outcome
from validators.replay.arguments import Arguments
from validators.report.model import Report

Project = Callable[[Overlay], Path]
Row = dict[str, Any]
KEYS = {"template": "minicpm_v", "model_name_or_path": "model", "per_device_train_batch_size": 2}
MEDIA = {"image": {"images": ["dog.jpg"]}, "video": {"videos": ["clip.mp4"]}, "text": {}}
ENTRY = {
    "formatting": "sharegpt",
    "columns": {"messages": "messages", "images": "images", "videos": "videos"},
    "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
}

KEYS_OF_HOLD_OUT: dict[str, Any] = {"eval_strategy": "epoch", "per_device_train_batch_size": 1, "seed": 1}


def row(kind: str, number: int = 0) -> Row:
    """A row with one medium of a kind, or `text`, or one that is dropped."""
    if kind == "dropped":
        return {"messages": [{"role": "user", "content": f"Alone {number}."}], "images": [], "videos": []}
    tag = "" if kind == "text" else f"<{kind}>"
    question = {"role": "user", "content": f"{tag}What is it, {number}?"}
    return {"messages": [question, {"role": "assistant", "content": "A dog."}], "images": [], "videos": []} | MEDIA[
        kind
    ]


def run(
    project: Project, datasets: dict[str, list[str]], options: CheckOptions | None = None, **keys: object
) -> Report:
    """The report of a run over datasets with rows of these kinds."""
    files = {
        f"{name}.json": json.dumps([row(kind, number) for number, kind in enumerate(kinds)])
        for name, kinds in datasets.items()
    }
    info = {name: ENTRY | {"file_name": f"{name}.json"} for name in datasets}
    train = KEYS | {"dataset": ",".join(datasets)} | keys
    files |= {"dataset_info.json": json.dumps(info), "train.yaml": yaml.safe_dump(train)}
    return check(project(files), options or CheckOptions(keep_rows=True))


def of_family(report: Report) -> list[Finding]:
    """The findings on batches."""
    return [finding for finding in report.findings if finding.code.startswith("BAT")]


def test_rows_of_bad_batches_are_crash_step(project: Project) -> None:
    kinds = ["image", "image", "text", "video", "video", "video", "text", "image"]
    report = run(project, {"data": kinds}, disable_shuffling=True)
    (found,) = of_family(report)
    assert (found.code, found.place.row, found.outcome) == ("BAT201", 2, Outcome.CRASH_STEP)
    assert "row 2 (text), row 3 (1 video)" in found.found
    assert "1 of 4 batches of epoch 1 crash-step, the first at step 2" in found.found
    (data,) = report.datasets
    assert data.outcomes == {Outcome.TRAINED: 6, Outcome.CRASH_STEP: 2} and data.predictions is not None
    ends = {number for number, seen in data.predictions.items() if seen.outcome is Outcome.CRASH_STEP}
    assert ends == {2, 3}
    assert not report.stops, "the run starts"


def test_the_cures_are_named(project: Project) -> None:
    (found,) = of_family(run(project, {"data": ["image", "video"]}))
    assert "per_device_train_batch_size: 1" in found.cure and "a run of their own" in found.cure
    assert "`curate train`, which adds train.plugins.minicpm_collation" in found.cure


@pytest.mark.parametrize("seed", range(6))
def test_the_order_follows_the_seed(seed: int, project: Project) -> None:
    """The batch of a lone video, as the sampler draws it, and by the datasets' order of rows, dropped ones left out."""
    first, second = ["dropped", "image", "image", "video"], ["image", "dropped", "image", "image", "text"]
    report = run(project, {"one": first, "two": second}, seed=seed, gradient_accumulation_steps=2)
    (found,) = of_family(report)
    sampling = sampling_of(Arguments(KEYS | {"seed": seed, "gradient_accumulation_steps": 2}), 1)
    assert isinstance(sampling, Sampling)
    order = sampling.order(7, 0)
    assert order is not None
    table, more = cut(order, sampling)
    batches = [batch.tolist() for batch in (*table, *more)]
    at = next(number for number, batch in enumerate(batches) if 2 in batch)  # the third row that is not dropped
    alone = batches[at] == [2]
    if alone:
        assert "epoch 2" in found.found or "epoch 3" in found.found
        return
    assert f"of epoch 1 crash-step, the first at step {at // 2 + 1}" in found.found
    names = [*(f"row {number}" for number in (1, 2, 3)), *(f"row {number}" for number in (0, 2, 3, 4))]
    assert all(names[number] in found.found for number in batches[at])


def test_steps_that_are_not_reached_stop_nothing(project: Project) -> None:
    kinds = ["image", "image", "text", "video"]
    assert of_family(run(project, {"data": kinds}, disable_shuffling=True, max_steps=2))
    report = run(project, {"data": kinds}, disable_shuffling=True, max_steps=1)
    assert not of_family(report) and "none mixes" in report.batches
    kinds = ["image", "image", "video"]
    assert not of_family(run(project, {"data": kinds}, disable_shuffling=True))
    assert not of_family(run(project, {"data": [*kinds, "image"]}, disable_shuffling=True, num_train_epochs=0.5))


def test_uneven_ends_are_filled_for_all_processes(project: Project) -> None:
    """Three rows in batches of two: the second process gets the last row and the first one again."""
    kinds = ["image", "image", "video"]
    one = run(project, {"data": kinds}, disable_shuffling=True)
    two = run(project, {"data": kinds}, CheckOptions(processes=2), disable_shuffling=True)
    assert not of_family(one)
    (found,) = of_family(two)
    assert "row 2 (1 video), row 0 (1 image)" in found.found and "the first at step 1" in found.found
    dropped = run(
        project, {"data": kinds}, CheckOptions(processes=2), dataloader_drop_last=True, disable_shuffling=True
    )
    assert not of_family(dropped)


@pytest.mark.parametrize(
    "keys",
    [
        {"streaming": True, "max_steps": 5},
        {"auto_find_batch_size": True},
        {"accelerator_config": {"split_batches": True}},
    ],
)
def test_what_is_not_known_may_be(keys: dict[str, object], project: Project) -> None:
    report = run(project, {"data": ["image", "video", "text"]}, **keys)
    found = {finding.code for finding in of_family(report)}
    assert found == {"BAT301"} and "the order is not replayed" in report.batches
    assert not of_family(run(project, {"data": ["image", "image", "text"]}, **keys))
    (data,) = report.datasets
    assert Outcome.CRASH_STEP not in data.outcomes


def test_rows_held_out_are_in_no_batch(project: Project) -> None:
    """One row of two is held out: the other is alone."""
    assert not of_family(run(project, {"data": ["image", "video"]}, val_size=1, eval_strategy="epoch"))
    mixed = {"data": ["image", "video"], "more": ["image", "video"]}
    assert of_family(run(project, mixed, mix_strategy="interleave_under", per_device_train_batch_size=4))


def test_evaluations_have_batches_too(project: Project) -> None:
    """By their own batch, in the order of the rows; without an evaluation nobody looks at them."""
    train = {"data": ["image", "image"], "held": ["video", "text", "image"]}
    keys = {"dataset": "data", "eval_dataset": "held", "eval_strategy": "epoch", "per_device_train_batch_size": 1}
    (found,) = of_family(run(project, train, **keys, per_device_eval_batch_size=2))
    assert (
        "row 0 (1 video), row 1 (text)" in found.found and "1 of 2 batches of an evaluation crash-step" in found.found
    )
    assert found.dataset == "held" and "per_device_eval_batch_size: 1" in found.cure
    assert of_family(run(project, train, **keys)), "eight rows a batch where the yaml does not say"
    assert not of_family(run(project, train, **keys, per_device_eval_batch_size=1))
    assert not of_family(run(project, train, **keys | {"eval_strategy": "no"}))
    (found,) = of_family(run(project, {"data": ["image", "video", "image", "video"]}, val_size=2, **KEYS_OF_HOLD_OUT))
    report = run(project, {"data": ["image", "video", "image", "video"]}, val_size=2, **KEYS_OF_HOLD_OUT)
    assert report.datasets[0].outcomes == {Outcome.TRAINED: 2, Outcome.CRASH_STEP: 2}


def test_one_kind_or_one_row_a_batch_is_well(project: Project) -> None:
    for kinds in (["video", "video", "video"], ["image", "text", "image"]):
        report = run(project, {"data": kinds})
        assert not of_family(report) and report.batches == ""
    assert not of_family(run(project, {"data": ["image", "video"]}, per_device_train_batch_size=1))


def test_packs_are_batches_too(project: Project) -> None:
    """Packed, an image and a video are one sequence, though each batch holds one."""
    keys = {"packing": True, "per_device_train_batch_size": 1, "cutoff_len": 2048}
    (found,) = of_family(run(project, {"data": ["image", "video"]}, **keys))
    assert "packed in one sequence" in found.found and "minicpm_collation" not in found.cure


def test_with_the_plugin_they_train(project: Project) -> None:
    """As `curate train` runs it: nothing is lost, and the summary says why."""
    kinds = ["image", "video", "text"]
    report = run(project, {"data": kinds}, CheckOptions(plugins=True, keep_rows=True))
    assert not of_family(report) and not report.refusal
    assert report.datasets[0].outcomes == {Outcome.TRAINED: 3}
    assert "train.plugins.minicpm_collation repairs it" in report.batches
    unknown = run(project, {"data": kinds}, CheckOptions(plugins=True), auto_find_batch_size=True)
    assert not of_family(unknown)


def test_a_run_that_stops_before_has_no_order(project: Project) -> None:
    path = project({})
    assert path.name == "train.yaml"
    broken = row("image") | {"images": ["nowhere.jpg"]}
    files = {
        "data.json": json.dumps([row("image"), row("video"), broken]),
        "dataset_info.json": json.dumps({"data": ENTRY | {"file_name": "data.json"}}),
        "train.yaml": yaml.safe_dump(KEYS),
    }
    report = check(project(files))
    assert {finding.code for finding in of_family(report)} == {"BAT301"} and "stops before" in report.batches


def test_findings_do_not_depend_on_the_size_of_lots(project: Project) -> None:
    kinds = ["image", "dropped", "video", "text", "image", "video"]
    options = CheckOptions(keep_rows=True)
    expected = run(project, {"data": kinds}, options)
    for rows in (1, 2, 5):
        found = run(project, {"data": kinds}, replace(options, batch_rows=rows))
        assert (found.findings, found.datasets) == (expected.findings, expected.datasets)
