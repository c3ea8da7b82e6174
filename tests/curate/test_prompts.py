"""Questions and system prompts: templates, ready-made sets, weights, seeds."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from curate.cli import main
from curate.ingest.raw import NoUse
from curate.prompts.builtin import SETS
from curate.prompts.read import read_templates
from curate.prompts.template import BadTemplate, Fields, Template, choose, parse
from validators.errors import UsageFault
from validators.model import MediaKind

ROW = Fields("captions.jsonl", "train", json.dumps({"category": "book", "year": 1999, "a b": "c", "new": True}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("What is the title of this {meta.category}?", "What is the title of this book?"),
        ("{source} {split}: {meta.year}, {meta.a b}, {meta.new}", "captions.jsonl train: 1999, c, true"),
        ('Answer as {"label": {"of": "x"}} or {}, {1}, { x }', 'Answer as {"label": {"of": "x"}} or {}, {1}, { x }'),
        ("{{meta.category}} {{x}}", "{meta.category} {x}"),
        ("plain", "plain"),
    ],
)
def test_places_are_filled_and_other_braces_stay(text: str, said: str) -> None:
    assert parse(text).filled(ROW) == said


@pytest.mark.parametrize("text", ["{caption}", "{meta}", "{meta.}", "{meta.__class__}x{source.__init__}", "{id!r}"])
def test_what_no_row_has_is_refused(text: str) -> None:
    with pytest.raises(BadTemplate):
        parse(text)


def test_a_name_is_looked_up_and_never_walked() -> None:
    """And what is put in is not read again."""
    row = Fields("s", None, json.dumps({"x": "{source} {meta.x}", "n": 3}))
    assert parse("{meta.x}").filled(row) == "{source} {meta.x}"
    for name in ("meta.__class__", "meta.n.real", "meta.x[0]", "split", "meta.gone"):
        with pytest.raises(NoUse, match="which the row lacks"):
            parse(f"{{{name}}}").filled(row)


@given(st.text(alphabet='{}ametsourcplin._ "1', max_size=30))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    """Without places it stays as it is, doubled braces aside."""
    try:
        made = parse(text)
    except BadTemplate:
        return
    if "{{" not in text and not any(not isinstance(part, str) for part in made.parts):
        assert made.filled(ROW) == text


def test_templates_are_chosen_by_weight_and_seed() -> None:
    choices = (Template(("a",), 3), Template(("b",)), Template(("c",), 0.001))
    drawn = [choose(choices, 0, "question", number) for number in range(4000)]
    counts = Counter(one.parts[0] for one in drawn)
    assert 2900 < counts["a"] < 3100 and counts["c"] < 20
    assert drawn == [choose(choices, 0, "question", number) for number in range(4000)]
    assert drawn != [choose(choices, 1, "question", number) for number in range(4000)]
    assert drawn != [choose(choices, 0, "system", number) for number in range(4000)]


def test_ready_made_sets_are_of_their_language_and_hold_no_place() -> None:
    """At least a dozen to describe each kind with, and none twice."""
    for name, kinds in SETS.items():
        for kind, texts in kinds.items():
            assert len(set(texts)) == len(texts) >= (12 if name.startswith("describe") else 6)
            assert all(parse(text).parts == (text,) and text == text.strip() for text in texts)
            chinese = [any("\u4e00" <= letter <= "\u9fff" for letter in text) for text in texts]
            assert all(chinese) if name.endswith("-zh") else not any(chinese)
            assert kind in (*MediaKind, "system")


def test_a_weight_of_a_set_is_shared_among_its_members() -> None:
    made = read_templates("x", "image", [{"text": "builtin:brief-en", "weight": 3}, "Well?"])
    assert len(made) == len(SETS["brief-en"]["image"]) + 1
    assert sum(one.weight for one in made) == pytest.approx(4) and made[-1] == parse("Well?")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([], "at least one item"),
        (3, "text, {text"),
        ([" "], "x[0]"),
        ("builtin:describe-fr", "one of builtin:describe-en"),
        ("builtin:describ-en", "did you mean builtin:describe-en?"),
        ("builtin:transcribe-en", "no set builtin:transcribe-en for image"),
        ({"text": "a", "weight": 0}, "a number above 0"),
        ({"text": "a", "weight": True}, "a number above 0"),
        ({"text": "a", "often": 2}, "text and weight"),
        ("Say {caption}", "give away"),
        ("Say {titel}", "{meta.FIELD}"),
    ],
)
def test_what_is_wrong_is_named(raw: object, words: str) -> None:
    with pytest.raises(UsageFault) as fault:
        read_templates("x", "image", raw)
    assert str(fault.value).startswith("x") and words in str(fault.value)


def build(home: Path, order: int = 1, **dataset: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows and ledger of captions, and a talk, under a dataset's own keys."""
    from PIL import Image

    for number in range(4):
        Image.new("RGB", (40 + number, 30)).save(home / f"{number}.png")
    rows: list[dict[str, Any]] = [
        {"image": f"{number % 4}.png", "caption": f"Thing {number}.", "category": "book" if number % 3 else None}
        for number in range(60)
    ]
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}]
    lines = [*rows, {"messages": talk}][::order]
    (home / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = {"format": "jsonl", "path": "rows.jsonl", "keep": ["category"]}
    entry = {"name": "a", "sources": [source]} | dataset
    (home / "recipe.yaml").write_text(yaml.safe_dump({"version": 1, "target": "out", "datasets": [entry]}))
    assert main(["build", str(home / "recipe.yaml")]) == 0
    ledger = [json.loads(line) for line in (home / "out/ledger.jsonl").read_text().splitlines()]
    return json.loads((home / "out/a.json").read_text()), ledger


def test_a_dataset_asks_its_own_questions(tmp_path: Path) -> None:
    """The same in any order of the rows; with another seed others."""
    prompts = {"image": ["builtin:describe-zh", "What?"], "system": "builtin:assistant-en"}
    rows, _ = build(tmp_path, prompts=prompts)
    asked = Counter(row["messages"][1]["content"] for row in rows if row["images"])
    assert 9 <= len(asked) <= 13 and set(asked) <= {
        f"<image>{text}" for text in (*SETS["describe-zh"]["image"], "What?")
    }
    systems = {row["messages"][0]["content"] for row in rows}
    assert all(row["messages"][0]["role"] == "system" for row in rows) and len(systems) > 3
    assert systems <= set(SETS["assistant-en"]["system"])
    texts = sorted(json.dumps(row) for row in rows)
    assert sorted(json.dumps(row) for row in build(tmp_path, order=-1, prompts=prompts)[0]) == texts
    assert sorted(json.dumps(row) for row in build(tmp_path, prompts=prompts | {"seed": 1})[0]) != texts


def test_a_row_without_the_field_is_dropped_and_said(tmp_path: Path) -> None:
    rows, ledger = build(tmp_path, prompts={"image": "What is the title of this {meta.category}?"})
    asked = {row["messages"][0]["content"] for row in rows if row["images"]}
    assert asked == {"<image>What is the title of this book?"} and len(rows) == 41
    lost = {line["reason"] for line in ledger if line["action"] == "dropped"}
    assert lost == {"its prompt has a place for meta.category, which the row lacks (keep: [category] in the source)"}


def test_a_system_prompt_is_written_in_one_place(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("")
    entry = {"name": "a", "sources": [{"format": "jsonl", "path": "rows.jsonl"}], "system": "Well {x}."}
    for prompts, code in (({"system": "Other."}, 2), ({"image": "What?"}, 0)):
        recipe = {"version": 1, "target": "out", "datasets": [entry | {"prompts": prompts}]}
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        assert main(["build", "--dry-run", str(tmp_path / "recipe.yaml")]) == code
