"""The recipe's JSON Schema and its reader: one declaration, and what the schema refuses the reader refuses."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from curate.forms import Form
from curate.recipe import read_recipe
from curate.recipe_form import TABLES, schema, step_form
from curate.recipe_page import EXAMPLE
from curate.steps.registry import DEDUP_KEYS, KINDS, SAMPLE_KEYS, SPLIT_KEYS
from tests.curate.test_recipe import FAULTS, GOOD
from validators.errors import UsageFault

FULL = """
version: 1
target: out
media_root: .
max_lost: 5%
media: store
fetch: false
normalise: {exif: true, rgb: true, max_side: 100, remux: mp4, audio: 16k-mono}
questions: {image: ["What?", {text: "Who?", weight: 2}], video: builtin:brief-en}
trainer: train.yaml
output: {form: parquet, shard_rows: 100}
datasets:
  - name: a
    system: Be brief.
    sources:
      - {format: jsonl, path: rows.jsonl, columns: {caption: text}, keep: [id], split: train, media_dir: x}
      - {format: subtitles, path: rows.srt, cues: rows, keep: all}
    steps:
      - clean
      - filter: answer_chars > 3
      - repair: unsafe
      - dedup: {text: 0.9, images: exact, videos: any, by: answer, keep: last, seed: 1}
      - budget: [split, drop]
      - budget: frames
      - shuffle: {seed: 3}
      - sample: {share: 0.5, seed: 1}
      - split: {eval: 0.1, test: 0.2, stratify: kinds, seed: 1}
  - name: b
    prompts: {image: "{meta.x}?", audio: [builtin:transcribe-zh], system: [A., B.], seed: 2}
    sources: [{format: jsonl, path: rows.jsonl}]
mixes:
  - {name: c, of: {a: 2, b: 0.5}, rows: 10, repeat: true, seed: 4}
  - {name: d, of: {a_eval: 1}, tokens: 10}
"""
VALIDATOR = Draft202012Validator(schema())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    for name in ("rows.jsonl", "rows.srt", "train.yaml"):
        (folder / name).write_text("")
    return folder


def reads(home: Path, value: object) -> bool:
    """Whether the reader takes it; anything but a UsageFault goes on."""
    (home / "recipe.yaml").write_text(yaml.safe_dump(value))
    try:
        read_recipe(home / "recipe.yaml")
    except UsageFault:
        return False
    return True


def fits(form: Form, value: object) -> bool:
    return Draft202012Validator(form).is_valid(value)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("text", [GOOD, FULL])
def test_good_recipes_pass_both(text: str, home: Path) -> None:
    value = yaml.safe_load(text)
    assert reads(home, value) and VALIDATOR.is_valid(value)


def test_what_is_shown_passes(root: Path) -> None:
    """The demo's recipe and the page's; every key's and every step's example, which names its key."""
    assert VALIDATOR.is_valid(yaml.safe_load((root / "examples/demo/recipe.yaml").read_text()))
    assert VALIDATOR.is_valid(yaml.safe_load(EXAMPLE))
    for key in (key for keys in (*TABLES.values(), DEDUP_KEYS, SAMPLE_KEYS, SPLIT_KEYS) for key in keys):
        ((name, value),) = yaml.safe_load(key.example).items()
        assert name == key.name and key.words and fits(key.form, value), key
    for kind in KINDS.values():
        assert fits(step_form(), yaml.safe_load(kind.example)), kind


def test_every_key_is_in_a_full_recipe() -> None:
    """So that the laws below see all of them."""
    said = set(strings(yaml.safe_load(FULL)))
    assert {key.name for keys in TABLES.values() for key in keys} - said == {
        "config",
        "revision",
        "field",
        "shard_bytes",
    }
    assert KINDS.keys() <= said


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in a recipe, as its container and key."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from spots(value[key])


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([0.5, 1.5, -0.1, "", " ", "all", "any", "exact", "drop", "frames", "x y", "{x}", "builtin:no"]),
    st.lists(st.sampled_from(["drop", "split", "What?", 3, None]), max_size=2),
    st.dictionaries(
        st.sampled_from(["seed", "text", "weight", "image", "name", "rows"]), st.integers(0, 2), max_size=2
    ),
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_what_the_schema_refuses_the_reader_refuses(home: Path, data: st.DataObject) -> None:
    """With one place of a good recipe replaced, left out, or given a key more."""
    value = copy.deepcopy(yaml.safe_load(FULL))
    container, key = data.draw(st.sampled_from(list(spots(value))))
    how = data.draw(st.sampled_from(["replace", "leave out", "add"]))
    if how == "replace":
        container[key] = data.draw(ODD)
    elif how == "leave out":
        del container[key]
    elif isinstance(container, dict):
        container[data.draw(st.sampled_from(["seed", "rows", "tokens", "nmae", "system"]))] = data.draw(ODD)
    else:
        container.append(data.draw(ODD))
    if not VALIDATOR.is_valid(value):
        assert not reads(home, value), [error.message for error in VALIDATOR.iter_errors(value)]


BEYOND = {
    "a target above the sources",
    "a media root that is not there",
    "a source that is not there",
    "a name twice",
    "changing what is not stored",
    "a column of no field",
    "a source without a look",
    "a dataset where the rows are",
    "a dataset where the media are",
}
"""Faults of what lies around a recipe, which no schema sees."""


@pytest.mark.parametrize("case", FAULTS)
def test_the_schema_refuses_faults_that_are_in_the_recipe_itself(case: str) -> None:
    assert VALIDATOR.is_valid(yaml.safe_load(FAULTS[case][0])) is (case in BEYOND)


@pytest.mark.parametrize(
    "step",
    [
        "clen",
        {"clean": {"deep": True}},
        {"filter": 3},
        "filter",
        {"repair": "sure"},
        {"dedup": {"text": 0.2}},
        {"dedup": {"by": "all of it"}},
        {"budget": "keep"},
        {"budget": []},
        {"budget": ["split", "split"]},
        {"shuffle": {"sed": 1}},
        {"shuffle": {"seed": -1}},
        "sample",
        {"sample": {"rows": 3, "share": 0.1}},
        {"sample": {"share": 1.5}},
        "split",
        {"split": {}},
        {"split": {"eval": 0}},
        {"split": {"eval": 0.1, "stratify": "colour"}},
        {"shuffle": None, "clean": None},
        3,
    ],
)
def test_both_refuse_a_wrong_step(step: object, home: Path) -> None:
    value = yaml.safe_load(GOOD)
    value["datasets"][0]["steps"] = [step]
    assert not VALIDATOR.is_valid(value) and not reads(home, value)


def test_the_written_schema_is_this_one(root: Path) -> None:
    assert json.loads((root / "docs/recipe.schema.json").read_text()) == schema()
