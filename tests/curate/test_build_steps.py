"""Steps and mixtures in a whole build: what is written, counted, and put into the ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import load_from_disk

from curate.cli import main
from tests.scaffold import make_tokenizer
from validators.engine import check

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Forty captions of ten pictures, and twenty talks."""
    from PIL import Image

    (tmp_path / "media").mkdir()
    for number in range(10):
        Image.effect_noise((64 + number, 48), 40).convert("RGB").save(tmp_path / f"media/{number}.jpg")
    captions = [
        {"file_name": f"{number % 10}.jpg", "caption": f"Picture {number} shows a cat." if number % 8 else "Cat."}
        for number in range(40)
    ]
    talks = [
        {
            "messages": [
                {"role": "user", "content": f"Say {number}."},
                {"role": "assistant", "content": f"It is {number}."},
            ]
        }
        for number in range(20)
    ]
    for name, rows in (("captions", captions), ("talks", talks)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    make_tokenizer(tmp_path / "model")
    settings = {"template": "qwen2_vl", "model_name_or_path": str(tmp_path / "model"), "cutoff_len": 400}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def write(home: Path, steps: list[Any], mixes: list[Any] | None = None, **more: Any) -> Path:
    recipe = {
        "version": 1,
        "target": "out",
        "media_root": "media",
        "datasets": [
            {"name": "pics", "sources": [{"format": "jsonl", "path": "captions.jsonl"}], "steps": steps},
            {"name": "talks", "sources": [{"format": "jsonl", "path": "talks.jsonl"}]},
        ],
    } | more
    if mixes:
        recipe["mixes"] = mixes
    (home / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return home / "recipe.yaml"


def rows(home: Path, name: str) -> list[dict[str, Any]]:
    return json.loads((home / "out" / f"{name}.json").read_text())


def test_every_dropped_row_is_in_the_ledger_and_the_manifest_counts_each_step(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write(home, [{"filter": "answer_chars > 5"}, {"sample": {"rows": 20}}])
    assert main(["build", str(recipe)]) == 0
    said = capsys.readouterr().out
    assert "filter: 40 rows → 35\n" in said and "sample: 35 rows → 20\n" in said and "→ pics: 20 rows" in said
    ledger = [json.loads(line) for line in (home / "out/ledger.jsonl").read_text().splitlines()]
    assert [line["source"] for line in ledger].count("step filter") == 5
    assert [line["source"] for line in ledger].count("step sample") == 15
    manifest = json.loads((home / "out/manifest.json").read_text())
    assert manifest["datasets"]["pics"]["steps"] == [
        {"step": "filter", "before": 40, "after": 35, "changed": 0},
        {"step": "sample", "before": 35, "after": 20, "changed": 0},
    ]
    kept = load_from_disk(str(home / "out/arrow/pics"))["id"]
    assert len(kept) == len(rows(home, "pics")) == 20
    assert not set(kept) & {line["id"] for line in ledger}
    assert set(manifest["datasets"]["pics"]["media"]) == {path for row in rows(home, "pics") for path in row["images"]}


def test_a_split_makes_datasets_that_share_no_picture(home: Path) -> None:
    """Each registered, and loaded by the check."""
    assert main(["build", str(write(home, [{"split": {"eval": 0.25}}]))]) == 0
    sides = [{path for row in rows(home, name) for path in row["images"]} for name in ("pics", "pics_eval")]
    assert sides[0] | sides[1] == {f"{number}.jpg" for number in range(10)} and not sides[0] & sides[1]
    assert len(rows(home, "pics")) + len(rows(home, "pics_eval")) == 40
    report = check(home / "out")
    assert [dataset.name for dataset in report.datasets] == ["pics", "pics_eval", "talks"]
    assert report.rows_in == report.rows_reaching == 60


def test_a_mixture_has_its_share_of_rows_or_tokens(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a dataset of its own, in an order of its own."""
    mixes = [
        {"name": "even", "of": {"pics": 1, "talks": 1}},
        {"name": "heavy", "of": {"pics": 3, "talks": 1}, "tokens": 1200},
        {"name": "twice", "of": {"talks": 1}, "rows": 30, "repeat": True},
    ]
    assert main(["build", str(write(home, ["shuffle"], mixes, trainer="train.yaml"))]) == 0
    said = capsys.readouterr().out
    assert "even: 40 rows mixed: 20 of pics, 20 of talks" in said
    even = rows(home, "even")
    assert [bool(row["images"]) for row in even] != sorted(bool(row["images"]) for row in even)
    report = check(home / "out")
    tokens = {dataset.name: dataset.tokens for dataset in report.datasets}
    assert len(rows(home, "twice")) == 30 and report.rows_in == report.rows_reaching
    counted = {dataset.name: dataset.tokens for dataset in check_with(home).datasets}
    assert abs(counted["heavy"] - 1200) <= 100, (counted, tokens)


def check_with(home: Path) -> Any:
    """The build as the recipe's trainer counts it."""
    from validators.engine import CheckOptions

    return check(home / "out", CheckOptions(template="qwen2_vl", model=str(home / "model")))


def test_equal_input_gives_equal_bytes(home: Path) -> None:
    """Steps draw by seed and row, not by chance or time."""
    mixes = [{"name": "all", "of": {"pics": 1, "talks": 2}}]
    recipe = write(home, ["clean", "shuffle", {"split": {"eval": 0.2}}], mixes)

    def contents() -> dict[str, bytes]:
        assert main(["build", str(recipe)]) == 0
        out = home / "out"
        return {
            path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()
        }

    assert contents() == contents()


def test_steps_over_stored_media_see_them(home: Path) -> None:
    """The files lie in the build itself then."""
    assert main(["build", str(write(home, [{"filter": "width >= 70"}], media="store"))]) == 0
    assert len(rows(home, "pics")) == 16
    assert len(list((home / "out/media").rglob("*.jpg"))) == 4


def test_a_dry_run_says_the_plan_and_writes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write(home, [{"split": {"eval": 0.2}}], [{"name": "all", "of": {"pics": 2, "talks": 1}, "rows": 9}])
    assert main(["build", str(recipe), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "write pics.json, pics_eval.json" in said and "mix 2 × pics, 1 × talks, 9 rows in all" in said
    assert not (home / "out").exists()


@pytest.mark.parametrize(
    ("steps", "mixes", "words"),
    [
        ([{"split": {"eval": 0.2}}], [{"name": "pics_eval", "of": {"pics": 1}}], "two datasets named 'pics_eval'"),
        ([], [{"name": "all", "of": {"pisc": 1}}], "did you mean 'pics'"),
        ([], [{"name": "all", "of": {"pics": 0}}], "a weight above 0"),
        ([], [{"name": "all", "of": {"pics": 1}, "rows": 3, "tokens": 4}], "one of them"),
        ([], [{"name": "all", "of": {"pics": 1}, "tokens": 3}], "`trainer:`"),
        (["budget"], [], "`trainer:`"),
        ([{"fliter": "x"}], [], "did you mean 'filter'"),
    ],
)
def test_a_wrong_recipe_ends_with_one_message(
    steps: list[Any], mixes: list[Any], words: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", str(write(home, steps, mixes))]) == 2
    assert words in capsys.readouterr().err
    assert not (home / "out").exists()


def test_doubles_go_and_what_can_be_mended_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Steps that compare rows, and the rules' own fixes, in one recipe with a split after them."""
    with (home / "captions.jsonl").open("a") as file:
        file.write(json.dumps({"file_name": "1.jpg", "caption": "Picture 1 shows a cat!"}) + "\n")
        file.write(json.dumps({"file_name": "2.jpg", "caption": "Cat."}) + "\n")
    steps = [{"repair": "safe"}, {"dedup": {"text": "any", "images": "exact", "keep": "longest"}}]
    assert main(["build", str(write(home, steps))]) == 0
    said = capsys.readouterr().out
    kept = rows(home, "pics")
    assert sorted(path for row in kept for path in row["images"]) == [f"{number}.jpg" for number in range(10)]
    assert "dedup: 41 rows → 10" in said and "repair: 41 rows → 41" in said


def test_what_a_step_drops_is_in_no_file_of_the_dataset(home: Path) -> None:
    """Not even in the unused ends of Arrow's buffers."""
    with (home / "captions.jsonl").open("a") as file:
        file.write('{"file_name": "1.jpg", "caption": "A private matter."}\n')
    assert main(["build", str(write(home, [{"filter": "answer NOT LIKE '%private%'"}]))]) == 0
    files = [path for path in (home / "out").rglob("*") if path.is_file()]
    assert [path.name for path in files if b"private matter" in path.read_bytes()] == ["rejects.jsonl"]


def test_what_steps_drop_is_written_whole_with_the_reason(home: Path) -> None:
    """As it was before the steps; what chance leaves out is no reject."""
    steps = [{"filter": "answer_chars > 5"}, {"dedup": {"text": "any", "images": "exact"}}, {"sample": {"rows": 5}}]
    assert main(["build", str(write(home, steps))]) == 0
    rejects = [json.loads(line) for line in (home / "out/rejects.jsonl").read_text().splitlines()]
    ledger = [json.loads(line) for line in (home / "out/ledger.jsonl").read_text().splitlines()]
    told = [(line["id"], line["reason"]) for line in ledger if line["source"] in ("step filter", "step dedup")]
    assert sorted((row["id"], row["reason"]) for row in rejects) == sorted(told) and len(told) == 5 + 25
    first = rejects[0]
    assert (first["dataset"], first["step"], first["source"]) == ("pics", "filter", "captions.jsonl:0")
    assert first["images"] == ["0.jpg"] and first["messages"][1] == {"role": "assistant", "content": "Cat."}
    assert "videos" not in first and "tools" not in first
