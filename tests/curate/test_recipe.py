"""Recipes: what is read, and what each fault says."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.cli import main
from curate.prompts.template import literal
from curate.recipe import QUESTIONS, read_recipe
from validators.errors import UsageFault
from validators.model import MediaKind

GOOD = """version: 1
target: out
datasets:
  - name: talks
    sources: [{format: jsonl, path: rows.jsonl}]
"""
FAULTS = {
    "another version": (GOOD.replace("version: 1", "version: 2"), "version 2", "version: 1"),
    "no target": (GOOD.replace("target: out\n", ""), "target is None", "text"),
    "an unknown key": (GOOD + "mediaroot: .\n", "unknown key 'mediaroot'", "did you mean 'media_root'?"),
    "a target above the sources": (
        GOOD.replace("target: out", "target: .."),
        "holds the sources",
        "a folder of its own",
    ),
    "a media root that is not there": (GOOD + "media_root: nowhere\n", "is no folder", "media paths start from"),
    "no datasets": (GOOD.split("datasets:", maxsplit=1)[0] + "datasets: []\n", "datasets is []", "at least one item"),
    "a dataset that is no mapping": (
        "version: 1\ntarget: out\ndatasets: [talks]\n",
        "datasets[0] is 'talks'",
        "a mapping",
    ),
    "a name that is a path": (GOOD.replace("talks", "../talks"), "datasets[0].name is '../talks'", "letters, digits"),
    "an unknown format": (GOOD.replace("jsonl,", "json5,"), "sources[0].format is 'json5'", "one of alpaca, arrow"),
    "a source that is not there": (GOOD.replace("rows.jsonl", "gone.jsonl"), "gone.jsonl not found", "existing source"),
    "a name twice": (GOOD + GOOD.split("datasets:\n")[1], "two datasets named 'talks'", "one entry a name"),
    "questions of no medium": (GOOD + "questions: {smell: [x]}\n", "unknown key 'smell'", "image, video, audio"),
    "empty questions": (GOOD + "questions: {image: []}\n", "questions.image: []", "at least one item"),
    "media of no mode": (GOOD + "media: move\n", "media is 'move'", "one of reference, copy"),
    "fetching perhaps": (GOOD + "fetch: maybe\n", "fetch is 'maybe'", "true or false"),
    "changing what is not stored": (
        GOOD + "media: copy\nnormalise: {exif: true}\n",
        "normalise with media: copy",
        "store",
    ),
    "a side of no pixels": (GOOD + "normalise: {max_side: 0}\n", "normalise.max_side is 0", "a number of pixels"),
    "a side that is a truth": (GOOD + "normalise: {max_side: true}\n", "max_side is True", "a number of pixels"),
    "another container": (GOOD + "normalise: {remux: avi}\n", "normalise.remux is 'avi'", "one of mp4"),
    "a change of nothing": (GOOD + "normalise: {crop: true}\n", "unknown key 'crop'", "max_side"),
    "files of another form": (GOOD + "output: csv\n", "output is 'csv'", "one of json, jsonl, parquet, arrow"),
    "no form of files": (GOOD + "output: {shard_rows: 5}\n", "output.form is None", "one of json"),
    "shards of one file": (GOOD + "output: {form: json, shard_rows: 5}\n", "shard_rows with form: json", "one file"),
    "shards of no rows": (GOOD + "output: {form: arrow, shard_rows: 0}\n", "shard_rows is 0", "1 or more"),
    "shards of a truth": (GOOD + "output: {form: arrow, shard_bytes: true}\n", "shard_bytes is True", "1 or more"),
    "shards of two sizes": (
        GOOD + "output: {form: jsonl, shard_rows: 5, shard_bytes: 5}\n",
        "shard_rows and shard_bytes",
        "one of them",
    ),
    "shards by the word": (GOOD + "output: {form: arrow, shards: 5}\n", "unknown key 'shards'", "shard_rows"),
    "a dataset where the rows are": (
        GOOD.replace("talks", "arrow") + "output: parquet\n",
        "a dataset named arrow",
        "another name",
    ),
    "a dataset where the media are": (
        GOOD.replace("talks", "media") + "output: {form: jsonl, shard_rows: 9}\n",
        "a dataset named media",
        "another name",
    ),
    "columns in a row": (GOOD.replace("path:", "columns: [x], path:"), "columns is ['x']", "a mapping"),
    "a column of no field": (
        GOOD.replace("path:", "columns: {capton: x}, path:"),
        "columns.capton: not a field of jsonl",
        "caption",
    ),
    "cues of another kind": (GOOD.replace("path:", "cues: words, path:"), "cues is 'words'", "transcript, rows"),
    "fields to keep in no list": (GOOD.replace("path:", "keep: id, path:"), "keep is 'id'", "a list of fields, or all"),
    "a source without a look": (GOOD.replace("format: jsonl, ", ""), "the file is empty", "JSON array"),
    "questions in a row": (GOOD + "questions: [x]\n", "questions is ['x']", "a mapping"),
    "a system prompt of blanks": (
        GOOD.replace("    sources", "    system: ' '\n    sources"),
        ".system is ' '",
        "text",
    ),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "rows.jsonl").write_text("")
    return tmp_path / "home"


def test_paths_run_from_the_recipe(home: Path) -> None:
    (home / "recipe.yaml").write_text(GOOD)
    recipe = read_recipe(home / "recipe.yaml")
    assert (recipe.target, recipe.media_root) == (home / "out", home)
    assert recipe.datasets[0].sources[0].path == home / "rows.jsonl"
    assert recipe.questions == QUESTIONS
    assert read_recipe(home / "recipe.yaml", home / "else").target == home / "else"


def test_own_questions_replace_those_of_their_medium_only(home: Path) -> None:
    (home / "recipe.yaml").write_text(GOOD + "questions: {image: ['What?', 'Who?']}\n")
    asked = read_recipe(home / "recipe.yaml").questions
    assert asked[MediaKind.IMAGE] == (literal("What?"), literal("Who?"))
    assert asked[MediaKind.VIDEO] == QUESTIONS[MediaKind.VIDEO]


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_names_the_key_and_what_was_expected(case: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, found, expected = FAULTS[case]
    (home / "recipe.yaml").write_text(text)
    with pytest.raises(UsageFault) as raised:
        read_recipe(home / "recipe.yaml")
    assert found in str(raised.value) and expected in str(raised.value)
    assert main(["build", str(home / "recipe.yaml")]) == 2
    assert capsys.readouterr().err.startswith("curate: error: ")
    assert not (home / "out").exists()
