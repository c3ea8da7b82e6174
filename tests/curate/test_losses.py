"""A build that loses all of its rows, or more than it may, fails, says why, and leaves the target as it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curate.cli import main

Build = Callable[..., tuple[int, str, str]]
COCO = {
    "images": [{"id": 1, "file_name": "0.png"}],
    "annotations": [{"id": number, "image_id": 1, "bbox": [1, 2, 3, 4]} for number in range(3)],
}


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Build:
    """Builds datasets of four sound pictures and what else is asked for: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(f"{number}.png")
    Path("good.jsonl").write_text(lines(f"{number}.png" for number in range(4)))
    Path("half.jsonl").write_text(lines(["0.png", "1.png", "none.png", "nowhere.png"]))
    Path("gone.jsonl").write_text(lines(["none.png", "nowhere.png"]))
    Path("instances.json").write_text(json.dumps(COCO))
    Path("empty.jsonl").write_text("")

    def run(*options: str, datasets: Mapping[str, Any], **more: Any) -> tuple[int, str, str]:
        entries = [
            {"name": name, **({"sources": what} if isinstance(what, list) else what)} for name, what in datasets.items()
        ]
        for entry in entries:
            entry["sources"] = [{"format": "jsonl", "path": s} if isinstance(s, str) else s for s in entry["sources"]]
        Path("recipe.yaml").write_text(json.dumps({"version": 1, "target": "out", "datasets": entries} | more))
        code = main(["build", "recipe.yaml", *options])
        return code, *capsys.readouterr()

    return run


def lines(names: Any) -> str:
    return "".join(json.dumps({"file_name": name, "caption": f"Picture {name}"}) + "\n" for name in names)


EMPTY: Mapping[str, Any] = {
    "all dropped": ["gone.jsonl"],
    "boxes for captions": [{"format": "coco", "path": "instances.json"}],
    "one source of two": ["good.jsonl", "gone.jsonl"],
    "filter": {"sources": ["good.jsonl"], "steps": [{"filter": "answer_chars > 500"}]},
}


@pytest.mark.parametrize("case", EMPTY)
def test_nothing_left_is_an_error_with_its_commonest_reason(build: Build, case: str) -> None:
    code, _, err = build(datasets={"d": EMPTY[case]})
    assert code == 1 and not Path("out").exists()
    assert "rows is left" in err and "fix: " in err and "was not written" in err, err
    assert Path(".out.work/refused/ledger.jsonl").is_file() and Path(".out.work/refused/rejects.jsonl").is_file()


def test_reasons_that_name_a_file_are_counted_by_kind(build: Build) -> None:
    """Three files that are not there outweigh two rows that say the same."""
    rows = lines(["none.png", "nowhere.png", "no cat.png"]) + 2 * (json.dumps({"file_name": "0.png"}) + "\n")
    Path("mixed.jsonl").write_text(rows)
    _, _, err = build(datasets={"d": ["mixed.jsonl"]})
    assert "none of 5 rows is left; most often (3 rows): none.png not found under the media root …" in err, err
    assert "fix: name the folder that paths start from" in err


def test_boxes_are_told_from_captions(build: Build) -> None:
    _, _, err = build(datasets={"d": EMPTY["boxes for captions"]})
    assert "none of 3 rows is left" in err and "captions_*.json" in err


def test_the_old_target_stays(build: Build) -> None:
    assert build(datasets={"d": ["good.jsonl"]})[0] == 0
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    code, _, err = build(datasets={"d": ["gone.jsonl"]})
    assert code == 1 and "is as it was" in err
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == before
    reasons = [json.loads(line)["reason"] for line in Path(".out.work/refused/ledger.jsonl").read_text().splitlines()]
    assert reasons == ["none.png not found under the media root", "nowhere.png not found under the media root"]
    assert build(datasets={"d": ["good.jsonl"]})[0] == 0 and not Path(".out.work/refused").exists()


@pytest.mark.parametrize(("limit", "code"), [("50%", 0), ("49.9%", 1), ("2", 0), ("1", 1), ("0", 1), ("100%", 0)])
def test_the_gate(build: Build, limit: str, code: int) -> None:
    """Two of four rows are lost: by the flag, by the recipe, by the configuration."""
    assert build("--max-lost", limit, datasets={"d": ["half.jsonl"]})[0] == code
    assert build(datasets={"d": ["half.jsonl"]}, max_lost=limit)[0] == code
    Path("mmcurate.toml").write_text(f'max-lost = "{limit}"')
    assert build(datasets={"d": ["half.jsonl"]})[0] == code
    assert build("--max-lost", "100%", datasets={"d": ["half.jsonl"]}, max_lost=0)[0] == 0
    if code:
        err = build(datasets={"d": ["half.jsonl"]})[2]
        assert f"2 of 4 rows are lost, and max_lost allows {limit}" in err


def test_the_gate_holds_for_each_source(build: Build) -> None:
    """Two of eight rows of the dataset are within 30 %, two of four of the source are not."""
    code, _, err = build("--max-lost", "30%", datasets={"d": ["good.jsonl", "half.jsonl"]})
    assert code == 1 and "d: half.jsonl: 2 of 4 rows" in err and "d: 2 of" not in err


def test_what_a_recipe_asks_for_is_no_loss(build: Build) -> None:
    """A row that stands twice, a filter and a split take rows out; a part of a split may be empty."""
    steps = [{"filter": "answer_chars > 1"}, {"sample": {"rows": 2}}, {"split": {"val": 0.001}}]
    twice = {"sources": ["good.jsonl", "good.jsonl"], "steps": steps}
    code, out, err = build("--max-lost", "0", datasets={"d": twice})
    assert code == 0 and not err, err
    assert "the same row as an earlier one" in out


def test_the_commonest_reason_stands_first(build: Build) -> None:
    rows = [{"file_name": "0.png"}] * 3 + [{"caption": "No medium"}] + [{"file_name": "1.png", "caption": "A"}]
    Path("mixed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, _ = build(datasets={"d": ["mixed.jsonl"]})
    told = [line.removeprefix("  dropped ") for line in out.splitlines() if line.startswith("  dropped")]
    assert code == 0 and told == ["3: neither messages nor a caption", "1: a caption without a medium"]


def test_a_bad_limit_is_refused(build: Build) -> None:
    assert build("--max-lost", "many", datasets={"d": ["good.jsonl"]})[0] == 2
    assert build(datasets={"d": ["good.jsonl"]}, max_lost="101%")[0] == 2


def test_an_empty_source_is_no_success(build: Build) -> None:
    code, _, err = build(datasets={"d": ["empty.jsonl"]})
    assert code == 2 and "empty.jsonl" in err and not Path("out").exists()
