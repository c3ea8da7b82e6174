"""`curate evaluate`: which rows are asked, of which models, and what stands side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curate.cli import main
from tests.scaffold import Overlay
from tests.train.conftest import Workshop
from tests.train.runs.test_runs import HOSTILE, Page
from train import trainer
from train.evaluation.predict import base_settings, prediction, read_answers, tuned_settings
from validators.settings import read_yaml

Project = Callable[[Overlay], Path]
ADAPTER = {"out/adapter_config.json": "{}"}


def talk(number: int, answer: str = "") -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": f"question {number} {HOSTILE}"},
            {"role": "assistant", "content": answer or f"answer {number}"},
        ]
    }


SILENT = {"messages": [{"role": "user", "content": "and no answer"}]}
ROWS = [*(talk(number) for number in range(9)), SILENT]
ENTRY = {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": {
    "role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}  # fmt: skip
HELD_OUT: dict[str, str] = {
    **ADAPTER,
    "train.yaml": "eval_dataset: held\n",
    "held.json": json.dumps(ROWS),
    "dataset_info.json": json.dumps(
        {"data": ENTRY | {"file_name": "data.json"}, "held": ENTRY | {"file_name": "held.json", "num_samples": 2}}
    ),
}


class Stub:
    """A trainer that answers what it is asked, from the files that it is given."""

    def __init__(self, drop: int = 0, code: int = 0) -> None:
        self.asked: list[dict[str, Any]] = []
        self.drop, self.code = drop, code

    def __call__(self, arguments: list[str], settings: dict[str, Any]) -> trainer.Outcome:
        given = dict(read_yaml(Path(arguments[1])))
        self.asked.append(given)
        if self.code:
            return trainer.Outcome(self.code, ("ValueError: no",))
        folder, out = Path(str(given["dataset_dir"])), Path(str(given["output_dir"]))
        info = json.loads((folder / "dataset_info.json").read_text())
        rows = [
            row for name in str(given["eval_dataset"]).split(",") for row in read_rows(folder / info[name]["file_name"])
        ]
        who = "tuned" if "adapter_name_or_path" in given else "base"
        lines = [
            {
                "prompt": "",
                "predict": f"{who} on {row['messages'][0]['content']}",
                "label": row["messages"][1]["content"],
            }
            for row in rows[self.drop :]
        ]
        out.mkdir()
        (out / "generated_predictions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (out / "predict_results.json").write_text(json.dumps({"predict_bleu-4": 10.0 if who == "base" else 20.5}))
        return trainer.Outcome(0, ())


def read_rows(file: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    found: list[dict[str, Any]] = (
        pq.read_table(file).to_pylist() if file.suffix == ".parquet" else json.loads(file.read_text())
    )
    return found


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    made = Stub()
    monkeypatch.setattr(trainer, "run", made)
    return made


def result() -> Any:
    return json.loads(Path("out/evaluation/evaluation.json").read_text())


def test_all_rows_are_answered_by_both(project: Project, stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    """The row without an answer is left out, the others stand beside their own answers."""
    assert main(["evaluate", str(project(HELD_OUT)), "--sample", "0"]) == 0
    base, tuned = stub.asked
    assert "adapter_name_or_path" not in base and tuned["adapter_name_or_path"] == "out"
    assert base["eval_dataset"] == "held" and "dataset" not in base and base["do_train"] is False
    found = result()
    assert [row["row"] for row in found["rows"]] == list(range(9)) and found["left_out"] == 1
    for number, row in enumerate(found["rows"]):
        assert row["label"] == f"answer {number}"
        assert row["base"] == f"base on question {number} {HOSTILE}" and row["tuned"].startswith("tuned on")
    assert found["metrics"]["tuned"]["predict_bleu-4"] == 20.5
    said = capsys.readouterr().out
    assert "1 more rows" in said and "10.00     20.50" in said


def test_the_sheet_shows_them_and_nothing_acts(project: Project, stub: Stub) -> None:
    assert main(["evaluate", str(project(HELD_OUT)), "--sample", "0"]) == 0
    text = Path("out/evaluation/sheet.html").read_text()
    page = Page(text)
    assert "script" not in page.tags and page.tags.count("article") == 9
    assert "\x1b" not in text and "alert(1)" in page.text
    assert "base on question 3" in page.text and "answer 3" in page.text and "20.50" in page.text
    assert not {name for name, _ in page.attributes} & {"style", "onload"}


def test_the_sample_is_by_seed(project: Project, stub: Stub) -> None:
    path = str(project(HELD_OUT))
    drawn = []
    for seed in ("1", "1", "2"):
        assert main(["evaluate", path, "--sample", "4", "--seed", seed, "--no-base"]) == 0
        drawn.append([row["row"] for row in result()["rows"]])
    assert drawn[0] == drawn[1] != drawn[2] and len(stub.asked) == 3


def test_media_and_several_datasets(project: Project, stub: Stub) -> None:
    picture = talk(0)
    picture["messages"][0]["content"] = "<image>what is it?"
    overlay = dict(HELD_OUT)
    info = json.loads(overlay["dataset_info.json"])
    info["pictures"] = ENTRY | {"file_name": "pictures.json", "columns": {"messages": "messages", "images": "images"}}
    overlay |= {
        "train.yaml": "eval_dataset: [pictures, held]\n",
        "pictures.json": json.dumps([picture | {"images": ["a.jpg"]}]),
        "dataset_info.json": json.dumps(info),
    }
    path = project(overlay)
    Image.new("RGB", (64, 48), "red").save("a.jpg")
    assert main(["evaluate", str(path), "--sample", "0", "--no-base", "-o", "elsewhere"]) == 0
    rows = json.loads(Path("elsewhere/evaluation.json").read_text())["rows"]
    assert [row["dataset"] for row in rows] == ["pictures"] + ["held"] * 9
    assert stub.asked[0]["media_dir"] == "." and stub.asked[0]["eval_dataset"] == "pictures,held"
    page = Page(Path("elsewhere/sheet.html").read_text())
    assert any(name == "src" and str(value).startswith("data:image/") for name, value in page.attributes)


def test_answers_that_are_not_one_a_row_are_no_result(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(project(HELD_OUT))
    monkeypatch.setattr(trainer, "run", Stub(drop=1))
    assert main(["evaluate", path]) == 1
    assert "the base model gave no answers: 8 answers to 9 rows" in capsys.readouterr().out
    monkeypatch.setattr(trainer, "run", Stub(code=1))
    assert main(["evaluate", path]) == 1
    assert "ended with 1: ValueError: no" in capsys.readouterr().out
    assert not Path("out/evaluation").exists()


@pytest.mark.parametrize(
    ("overlay", "options", "words"),
    [
        ({}, [], "no trained adapter"),
        ({"train.yaml": "finetuning_type: full\n"}, [], "no trained model"),
        (ADAPTER, [], "no eval_dataset"),
        (ADAPTER | {"train.yaml": "val_size: 0.1\n"}, [], "val_size alone"),
        (ADAPTER, ["--dataset", "gone"], "no such name"),
        (ADAPTER | {"train.yaml": "stage: dpo\n"}, ["--dataset", "data"], "stage: dpo"),
        (ADAPTER, ["--sample", "-1"], "--sample"),
        (ADAPTER, ["--max-new-tokens", "0"], "--max-new-tokens"),
        (HELD_OUT | {"held.json": json.dumps([SILENT])}, [], "none of 1 drawn rows"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    overlay: dict[str, str], options: list[str], words: str, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(project(overlay)), *options]) == 2
    assert words in capsys.readouterr().err


def test_the_models_that_are_asked() -> None:
    """Adapters that a training went on from: llamafactory merges them, but for the one that it goes on with."""
    plain: dict[str, object] = {"model_name_or_path": "m", "output_dir": "out", "deepspeed": "x.json", "lora_rank": 4}
    assert base_settings(plain) == {"model_name_or_path": "m", "lora_rank": 4}
    assert tuned_settings(plain)["adapter_name_or_path"] == "out"
    more = plain | {"adapter_name_or_path": "a, b"}
    assert base_settings(more)["adapter_name_or_path"] == "a,b"
    assert tuned_settings(more)["adapter_name_or_path"] == "a,out"
    assert tuned_settings(more | {"create_new_adapter": True})["adapter_name_or_path"] == "a,b,out"
    full = plain | {"finetuning_type": "full"}
    assert tuned_settings(full) == {"model_name_or_path": "out", "finetuning_type": "full", "lora_rank": 4}


@pytest.mark.parametrize("text", ["", "[1]\n", '{"predict": "x"}\n', "{\n"])
def test_broken_predictions_are_a_fault(text: str, tmp_path: Path) -> None:
    (tmp_path / "generated_predictions.jsonl").write_text(text)
    (tmp_path / "predict_results.json").write_text("{}")
    assert read_answers(tmp_path, 1).fault
    assert read_answers(tmp_path / "gone", 1).fault


@pytest.mark.trainer
def test_what_is_asked_for_is_accepted_by_the_trainer_s_parser(tmp_path: Path, workshop: Workshop) -> None:
    """Whatever a training says: here the guide's recipes."""
    from llamafactory.hparams import get_train_args

    for file in sorted((workshop.folder / "train/recipes").glob("minicpm*.yaml")):
        settings = read_yaml(file)
        if "export_dir" not in settings:
            asked = prediction(base_settings(settings), ["x"], tmp_path, ".", tmp_path / "out", 8, 0)
            # no accelerator here for it
            arguments = get_train_args(
                {key: value for key, value in asked.items() if key != "bf16"} | {"use_cpu": True}
            )
            assert arguments[2].do_predict and not arguments[2].do_train


@pytest.mark.trainer
def test_the_real_trainer_answers(workshop: Workshop, lora: str) -> None:
    """Base and adapter of the demo, on two rows: labels are the rows' own answers, the models say different things."""
    said = workshop.curate(
        "evaluate", "train/recipes/tiny_lora.yaml", "--dataset", "demo_image", "--sample", "2", "--max-new-tokens", "6"
    )
    assert "2 rows of demo_image" in said and "bleu-4" in said
    out = workshop.folder / "runs/tiny-lora/evaluation"
    found = json.loads((out / "evaluation.json").read_text())
    data = json.loads((workshop.folder / "build/demo/demo_image.json").read_text())
    for row in found["rows"]:
        messages = data[row["row"]].get("messages") or data[row["row"]]["conversations"]
        assert row["label"].strip() == messages[-1].get("content", messages[-1].get("value")).strip()
    assert [row["base"] for row in found["rows"]] != [row["tuned"] for row in found["rows"]]
    assert set(found["metrics"]["base"]) >= {"predict_bleu-4", "predict_rouge-l"}
    page = Page((out / "sheet.html").read_text())
    assert page.tags.count("article") == 2 and page.tags.count("img") >= 2
