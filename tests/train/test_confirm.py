"""The prediction held against the installed trainer on a user's own rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.train.conftest import Workshop
from train.confirm import Answer, choose, compare
from validators.errors import UsageFault
from validators.model import Outcome
from validators.report.model import DatasetSummary, Report, RowPrediction

WHOLE = RowPrediction(Outcome.TRAINED, 10, 4)
FAULTS = {
    "a tag too many": lambda row: row["messages"][0].update(content="<image><image>?"),
    "no answer": lambda row: row["messages"].pop(),
    "a missing file": lambda row: row.update(images=["nowhere.jpg"]),
    "a special token": lambda row: row["messages"][-1].update(content="See <|image_pad|> there."),
    "an answer without end": lambda row: row["messages"][-1].update(content="and on " * 3000),
    "a question without end": lambda row: row["messages"][0].update(content="and on " * 3000 + "<image>"),
}


def report_of(*predictions: RowPrediction) -> Report:
    summary = DatasetSummary("data", len(predictions), {}, predictions=dict(enumerate(predictions)))
    return Report("x.yaml", (), (summary,), "LLaMA-Factory", "qwen2_vl", 2048)


@pytest.mark.trainer
def test_the_demo_s_rows_agree(workshop: Workshop) -> None:
    """Every row of the demo, by its own yaml."""
    said = workshop.curate("check", "train/recipes/tiny_lora.yaml", "--verify-with-trainer", "50")
    assert "12 of 12 rows agree" in said


@pytest.mark.trainer
def test_spoilt_rows_agree(workshop: Workshop) -> None:
    """Rows that the trainer drops, cuts or stops at are predicted as it takes them."""
    rows = json.loads((workshop.folder / "build/demo/demo_image.json").read_text())
    single = next(row for row in rows if len(row["images"]) == 1 and len(row["messages"]) == 2)
    spoilt = []
    for spoil in FAULTS.values():
        row = json.loads(json.dumps(single))
        spoil(row)
        spoilt.append(row)
    folder = workshop.folder / "spoilt"
    folder.mkdir()
    (folder / "data.json").write_text(json.dumps([*rows, *spoilt]))
    entry = json.loads((workshop.folder / "build/demo/dataset_info.json").read_text())["demo_image"]
    (folder / "dataset_info.json").write_text(json.dumps({"data": entry | {"file_name": "data.json"}}))
    train = (workshop.folder / "train/recipes/tiny_lora.yaml").read_text()
    train = train.replace("build/demo", "spoilt").replace("demo_image,demo_video", "data")
    (folder / "train.yaml").write_text(train)
    said = workshop.curate("check", "spoilt/train.yaml", "--verify-with-trainer", "50", code=1)
    assert f"{len(rows) + len(spoilt)} of {len(rows) + len(spoilt)} rows agree" in said, said[-3000:]


def test_any_difference_is_told() -> None:
    """Outcome, tokens and supervised tokens each count; an alteration is not the trainer's to tell."""
    report = report_of(WHOLE, WHOLE, WHOLE, WHOLE, RowPrediction(Outcome.ALTERED, 10, 4))
    answers = [
        Answer("data", 0, Outcome.TRAINED, 10, 4, ""),
        Answer("data", 1, Outcome.TRAINED, 11, 4, ""),
        Answer("data", 2, Outcome.TRAINED, 10, 3, ""),
        Answer("data", 3, Outcome.CRASH_LOAD, None, None, "ValueError: no"),
        Answer("data", 4, Outcome.TRAINED, 10, 4, ""),
    ]
    found = compare("llamafactory 0", report, answers)
    assert found.compared == 5 and [line.split(":")[0] for line in found.disagreements] == [
        "data row 1",
        "data row 2",
        "data row 3",
    ]
    assert found.text().startswith("llamafactory 0: 2 of 5 rows agree")


def test_a_dataset_that_does_not_load_is_every_row_s_fate() -> None:
    """One answer without a row stands for all rows."""
    found = compare("t", report_of(WHOLE, WHOLE), [Answer("data", None, Outcome.CRASH_LOAD, None, None, "no")])
    assert found.compared == 2 and len(found.disagreements) == 2


def test_rows_are_chosen_evenly_and_harmed_ones_first() -> None:
    """As many as asked for, half of them harmed where there are so many, in order."""
    rows = {n: WHOLE if n % 10 else RowPrediction(Outcome.DROPPED, None, None) for n in range(100)}
    chosen = choose(rows, 10)
    assert len(chosen) == 10 and sum(n % 10 == 0 for n in chosen) == 5 and chosen == sorted(chosen)
    assert choose(rows, 1000) == list(range(100)) and len(choose(rows, 95)) == 95
    assert choose(dict.fromkeys(range(7), WHOLE), 3) == [0, 2, 4]


def test_only_a_train_yaml_can_be_verified(tmp_path: Path) -> None:
    """The trainer needs its yaml."""
    from train.confirm import confirm

    with pytest.raises(UsageFault, match="not a train yaml"):
        confirm(tmp_path / "data.json", report_of(WHOLE), 3)
