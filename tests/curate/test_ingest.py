"""Raw forms: each reader's rows, and the reason of every row that is no use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curate.build import LedgerEntry, Row, build_rows
from curate.ingest import csv, folder, jsonl, llava
from curate.ingest.raw import Intake
from curate.media.keeper import Keeper, Mode
from curate.prompts.template import Prompts, literal
from curate.recipe import QUESTIONS, DatasetRecipe, Recipe, Source
from validators.errors import UsageFault
from validators.model import MediaKind

TALK = [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": "A cat."}]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("cat.jpg", "dog.jpg", "clip.mp4", "tone.wav"):
        (tmp_path / name).write_bytes(b"\x00content of " + name.encode())
    (tmp_path / "empty.jpg").write_bytes(b"")
    return tmp_path


def build(home: Path, kind: str, path: Path, system: str | None = None) -> tuple[list[Row], list[LedgerEntry]]:
    dataset = DatasetRecipe("data", (Source(kind, path),), Prompts(system=(literal(system),) if system else ()))
    recipe = Recipe(home / "recipe.yaml", home / "out", home, (dataset,), QUESTIONS)
    items = list(build_rows(recipe, dataset, keeper(recipe)))
    return [item for item in items if isinstance(item, Row)], [item for item in items if isinstance(item, LedgerEntry)]


def keeper(recipe: Recipe) -> Keeper:
    return Keeper(Mode.REFERENCE, recipe.media_root, recipe.target, recipe.target)


def lines(home: Path, *rows: object) -> Path:
    path = home / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_csv_captions_get_a_question_and_a_tag(home: Path) -> None:
    (home / "t.csv").write_text(
        '\ufefffile_name,caption\ncat.jpg,"A cat, asleep."\nclip.mp4,A clip.\ntone.wav,A tone.\n'
    )
    rows, ledger = build(home, "csv", home / "t.csv")
    assert ledger == []
    assert [[turn.content for turn in row.turns] for row in rows] == [
        ["<image>Describe this image.", "A cat, asleep."],
        ["<video>Describe this video.", "A clip."],
        ["<audio>Describe this sound.", "A tone."],
    ]
    assert [row.media for row in rows] == [
        ((MediaKind.IMAGE, "cat.jpg"),),
        ((MediaKind.VIDEO, "clip.mp4"),),
        ((MediaKind.AUDIO, "tone.wav"),),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"file,caption\n", "no column file_name"),
        (b"", "an empty file"),
        (b"file_name,caption\ncat.jpg,\xff\n", "not UTF-8"),
        (b'file_name,caption\ncat.jpg,"open\n', "not CSV"),
    ],
)
def test_a_csv_that_is_none(home: Path, content: bytes, words: str) -> None:
    (home / "t.csv").write_bytes(content)
    with pytest.raises(UsageFault, match=words):
        list(csv.read(Intake(home / "t.csv", home)))


def test_csv_rows_without_use_are_told(home: Path) -> None:
    (home / "t.csv").write_text("file_name,caption\ncat.jpg,  \nnote.doc,x\n,x\ncat.jpg\n")
    assert [item.problem for item in csv.read(Intake(home / "t.csv", home))] == [
        "empty caption",
        "'note.doc' does not end like an image, a video or a sound",
        "media path is ''",
        "empty caption",
    ]


def test_a_folder_takes_the_text_beside_each_file(home: Path) -> None:
    (home / "cat.txt").write_text("A cat.\n")
    (home / "dog.txt").write_bytes(b"\xff")
    (home / "tone.txt").write_text(" ")
    items = list(folder.read(Intake(home, home)))
    assert [item.caption or item.problem for item in items] == [
        "A cat.",
        "no caption clip.txt beside clip.mp4",
        "dog.txt is not UTF-8",
        "no caption empty.txt beside empty.jpg",
        "empty caption",
    ]
    assert items[0].media == ((MediaKind.IMAGE, "cat.jpg"),)


def test_a_folder_outside_the_media_root_gives_no_row(home: Path) -> None:
    (home / "root").mkdir()
    assert all("outside the media root" in item.problem for item in folder.read(Intake(home, home / "root")))


def test_jsonl_keeps_the_turns_and_completes_the_tags(home: Path) -> None:
    bare = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "Two."}]
    path = lines(
        home, {"file_name": "cat.jpg", "messages": TALK}, {"file_name": ["cat.jpg", "dog.jpg"], "messages": bare}
    )
    rows, ledger = build(home, "jsonl", path)
    assert [turn.content for turn in rows[1].turns] == ["<image><image>What?", "Two."]
    assert [(entry.action, entry.row, entry.reason) for entry in ledger] == [
        ("changed", 1, "put <image><image> in front of the first question")
    ]
    assert ledger[0].id == rows[1].id and rows[1].source == "rows.jsonl:1"


def test_llava_rows_name_their_medium_by_key(home: Path) -> None:
    talk = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cat."}]
    path = home / "l.json"
    path.write_text(json.dumps([{"image": "cat.jpg", "conversations": talk}, {"image": 3, "conversations": talk}, 7]))
    rows, ledger = build(home, "llava", path)
    assert [turn.role for turn in rows[0].turns] == ["user", "assistant"]
    assert [entry.reason for entry in ledger] == ["image is 3", "the row is no object"]
    assert next(llava.read(Intake(path, home))).turns[0].content == "<image>\nWhat?"


REASONS = {
    "no object": (5, "the row is no object"),
    "no messages": ({"file_name": "cat.jpg"}, "neither messages nor a caption"),
    "a caption of nothing": ({"caption": "A cat."}, "a caption without a medium"),
    "a message that is none": ({"messages": ["x"]}, "message 0 is no object"),
    "an unknown role": ({"messages": [{"role": "bot", "content": "x"}]}, "message 0 has the role 'bot'"),
    "an empty turn": ({"messages": [{"role": "user", "content": " "}]}, "message 0 has no text"),
    "no answer": ({"messages": TALK[:1], "file_name": "cat.jpg"}, "roles do not alternate from user to assistant"),
    "a tag too many": ({"messages": TALK, "file_name": []}, "1 <image> for 0 images"),
    "no such file": ({"messages": TALK, "file_name": "gone.jpg"}, "gone.jpg not found under the media root"),
    "an empty file": ({"messages": TALK, "file_name": "empty.jpg"}, "empty.jpg is empty"),
    "an absolute path": ({"messages": TALK, "file_name": "/etc/x.jpg"}, "/etc/x.jpg leads outside the media root"),
    "a path upwards": ({"messages": TALK, "file_name": "../x.jpg"}, "../x.jpg leads outside the media root"),
    "a path with a NUL": ({"messages": TALK, "file_name": "a\0.jpg"}, "'a\\x00.jpg' holds characters that no path can"),
    "half a surrogate": (
        {"messages": [TALK[0], {"role": "assistant", "content": "\ud800"}]},
        "half of a surrogate pair",
    ),
    "half a surrogate in a path": ({"messages": TALK, "file_name": "\udc80.jpg"}, "characters that no path can"),
    "half a surrogate in a role": ({"messages": [{"role": "\ud800", "content": "x"}]}, "has the role '\\ud800'"),
}


@pytest.mark.parametrize("case", REASONS)
def test_a_row_of_no_use_is_dropped_with_its_reason(case: str, home: Path) -> None:
    value, reason = REASONS[case]
    rows, ledger = build(home, "jsonl", lines(home, value, {"file_name": "cat.jpg", "messages": TALK}))
    assert [row.source for row in rows] == ["rows.jsonl:1"], "the next row is not lost"
    assert [(entry.action, entry.row) for entry in ledger] == [("dropped", 0)]
    assert reason in ledger[0].reason


def test_a_link_out_of_the_media_root_is_not_followed(home: Path) -> None:
    (home / "root").mkdir()
    (home / "root" / "link.jpg").symlink_to(home / "cat.jpg")
    dataset = DatasetRecipe("data", (Source("jsonl", lines(home, {"file_name": "link.jpg", "messages": TALK})),))
    recipe = Recipe(home / "recipe.yaml", home / "out", home / "root", (dataset,), QUESTIONS)
    (entry,) = build_rows(recipe, dataset, keeper(recipe))
    assert isinstance(entry, LedgerEntry) and entry.reason == "link.jpg leads outside the media root"


def test_the_same_row_twice_is_kept_once(home: Path) -> None:
    row = {"file_name": "cat.jpg", "messages": TALK}
    rows, ledger = build(home, "jsonl", lines(home, row, row))
    assert len(rows) == 1 and ledger[0].reason == "the same row as rows.jsonl:0" and ledger[0].id == rows[0].id


def test_a_system_prompt_of_the_recipe_does_not_override_the_row_s(home: Path) -> None:
    own = [{"role": "system", "content": "Own."}, *TALK]
    path = lines(home, {"file_name": "cat.jpg", "messages": TALK}, {"file_name": "cat.jpg", "messages": own})
    rows, _ = build(home, "jsonl", path, system="Given.")
    assert [row.turns[0].content for row in rows] == ["Given.", "Own."]


def test_the_question_depends_on_the_row_alone(home: Path) -> None:
    captions = [{"file_name": "cat.jpg", "caption": f"Cat {number}."} for number in range(30)]
    dataset = DatasetRecipe("data", (Source("jsonl", lines(home, *captions)),))
    questions = dict(QUESTIONS) | {MediaKind.IMAGE: tuple(map(literal, ("One?", "Two?", "Three?")))}
    recipe = Recipe(home / "recipe.yaml", home / "out", home, (dataset,), questions)
    rows = [row for row in build_rows(recipe, dataset, keeper(recipe)) if isinstance(row, Row)]
    assert {row.turns[0].content for row in rows} == {"<image>One?", "<image>Two?", "<image>Three?"}
    lines(home, *reversed(captions))
    again = [row for row in build_rows(recipe, dataset, keeper(recipe)) if isinstance(row, Row)]
    assert {row.id for row in again} == {row.id for row in rows}


def test_broken_json_ends_with_its_line(home: Path) -> None:
    (home / "rows.jsonl").write_text('{"messages": []}\n{"messages": oops}\n')
    with pytest.raises(UsageFault, match=r"rows.jsonl:2"):
        list(jsonl.read(Intake(home / "rows.jsonl", home)))
