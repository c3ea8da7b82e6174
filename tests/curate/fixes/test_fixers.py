"""What each fixer makes of a row: the changed part of the row, by the surest way that is allowed."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path

import pytest

from curate.fixes import engine, registry, row_mender
from curate.fixes.protocol import CannotMend, MediaFixer
from tests.curate.fixes.mended import mended
from tests.curate.fixes.test_law import serious
from tests.rules.test_laws import Project
from tests.scaffold import TAGS
from validators.engine import check
from validators.rules.fixable import Safety

HI, YES = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}
SOUND = {"messages": [HI, YES]}
LOOK = {"role": "user", "content": "<image>?"}
ALL_TAGS = TAGS | {"observation_tag": "tool", "function_tag": "function_call"}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def bot(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


CASES = {
    # roles
    "roles in other words and letters": (
        {"messages": [{"role": "Human", "content": "Hi"}, {"role": "GPT", "content": "Yes."}]},
        {"messages": [HI, YES]},
    ),
    "tool roles": (
        {
            "messages": [
                HI,
                {"role": "tool_call", "content": '{"name": "f", "arguments": {}}'},
                {"role": "ipython", "content": "1"},
                YES,
            ]
        },
        {
            "messages": [
                HI,
                {"role": "function_call", "content": '{"name": "f", "arguments": {}}'},
                {"role": "tool", "content": "1"},
                YES,
            ]
        },
    ),
    "a role that means nothing": ({"messages": [{"role": "narrator", "content": "Hi"}, YES]}, None),
    "function is a call to some and a result to others": (
        {"messages": [HI, {"role": "function", "content": "1"}]},
        None,
    ),
    # order
    "neighbours joined": ({"messages": [user("a"), user("b"), YES]}, {"messages": [user("a\nb"), YES]}),
    "answer first, question last": ({"messages": [YES, HI, YES, HI]}, {"messages": [HI, YES]}),
    "the media of a dropped turn go with it": (
        {"messages": [LOOK, YES, LOOK], "images": ["cat.jpg", "dog.jpg"]},
        {"messages": [LOOK, YES], "images": ["cat.jpg"]},
    ),
    "a late system turn": (
        {"messages": [HI, {"role": "system", "content": "Be."}, YES]},
        {"messages": [{"role": "system", "content": "Be."}, HI, YES]},
    ),
    "no answer": ({"messages": [HI]}, None),
    # tags
    "a missing tag": ({"messages": [HI, YES], "images": ["cat.jpg"]}, {"messages": [user("<image>Hi"), YES]}),
    "two missing tags": (
        {"messages": [HI, YES], "images": ["cat.jpg", "dog.jpg"]},
        {"messages": [user("<image><image>Hi"), YES]},
    ),
    "a tag in an answer": (
        {"messages": [LOOK, bot("Put <image> first.")], "images": ["cat.jpg"]},
        {"messages": [LOOK, bot("Put < image> first.")]},
    ),
    "one image in two turns": (
        {"messages": [LOOK, YES, LOOK, YES], "images": ["cat.jpg"]},
        {"images": ["cat.jpg", "cat.jpg"]},
    ),
    "two tags in one turn": (
        {"messages": [user("<image>\n<image>\nSame?"), YES], "images": ["cat.jpg"]},
        {"messages": [user("<image>\nSame?"), YES]},
    ),
    "tags of an image that is not there": ({"messages": [LOOK, YES], "images": []}, None),
    "special tokens": ({"messages": [user("<|image_pad|>?"), YES]}, {"messages": [user("< |image_pad|>?"), YES]}),
    # form
    "a number as content": (
        {"messages": [HI, {"role": "assistant", "content": 1.5}]},
        {"messages": [HI, bot("1.5")]},
    ),
    "text parts": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]},
                YES,
            ]
        },
        {"messages": [HI, YES]},
    ),
    "image parts": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "image", "image": "cat.jpg"}, {"type": "text", "text": "?"}]},
                YES,
            ],
            "images": [],
        },
        {"messages": [LOOK, YES], "images": ["cat.jpg"]},
    ),
    "image parts from the net": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c.jpg"}}]},
                YES,
            ],
            "images": [],
        },
        None,
    ),
    "messages as text": ({"messages": json.dumps([HI, YES])}, {"messages": [HI, YES]}),
    "paths in objects": (
        {"messages": [LOOK, YES], "images": [{"path": "cat.jpg"}]},
        {"images": ["cat.jpg"]},
    ),
    # paths
    "backslashes": ({"messages": [LOOK, YES], "images": ["pics\\a b.jpg"]}, {"images": ["pics/a b.jpg"]}),
    "an address": ({"messages": [LOOK, YES], "images": ["file:///x/pics/a b.jpg"]}, {"images": ["pics/a b.jpg"]}),
    "another root": ({"messages": [LOOK, YES], "images": ["/data/mine/pics/a b.jpg"]}, {"images": ["pics/a b.jpg"]}),
    "capitals": ({"messages": [LOOK, YES], "images": ["Pics/A B.JPG"]}, {"images": ["pics/a b.jpg"]}),
    "decomposed letters": (
        {"messages": [LOOK, YES], "images": [unicodedata.normalize("NFD", "pics/é.jpg")]},
        {"images": ["pics/é.jpg"]},
    ),
    "two files it can be": ({"messages": [LOOK, YES], "images": ["/x/twice/deep.jpg"]}, None),
    "a path alone": ({"messages": [LOOK, YES], "images": "/x/pics/a b.jpg"}, {"images": "pics/a b.jpg"}),
}


@pytest.mark.parametrize("name", CASES)
def test_rows(name: str, project: Project) -> None:
    row, change = CASES[name]
    entry = {"file_name": "data.json", "formatting": "sharegpt", "tags": ALL_TAGS}
    columns = {"messages": "messages", "images": "images"} if "images" in row else {"messages": "messages"}
    info = json.dumps({"data": entry | {"columns": columns}})
    rows = [row, SOUND] if "roles" in name else [row]
    target = project({"data.json": json.dumps(rows), "dataset_info.json": info})
    for folder in ("pics", "one/twice", "two/twice"):
        Path(folder).mkdir(parents=True)
    for copy in ("pics/a b.jpg", "pics/é.jpg", "one/twice/deep.jpg", "two/twice/deep.jpg"):
        shutil.copy("cat.jpg", copy)
    assert check(target).findings, "nothing to mend"
    mended(target, unsafe=True)
    now = json.loads(Path("data.json").read_text())[0]
    assert now == (row if change is None else {**row, **change})
    assert change is None or not serious(check(target))


def test_tools_and_calls_are_written_as_json_text(project: Project) -> None:
    call = {"role": "function_call", "content": {"name": "f", "arguments": {"x": 1}}}
    rows = [{"messages": [HI, call], "tools": [{"name": "f", "description": "", "parameters": {}}]}]
    columns = {"messages": "messages", "tools": "tools"}
    entry = {"file_name": "data.json", "formatting": "sharegpt", "columns": columns, "tags": ALL_TAGS}
    target = project({"data.json": json.dumps(rows), "dataset_info.json": json.dumps({"data": entry})})
    mended(target)
    (now,) = json.loads(Path("data.json").read_text())
    assert now["messages"][1]["content"] == json.dumps(call["content"])
    assert json.loads(now["tools"]) == rows[0]["tools"]
    assert check(target).findings == ()


def test_a_mapping_that_would_cost_rows_is_taken_back(project: Project) -> None:
    """Without its images the row trains; with them it would stop the run, and no fixer finds the file."""
    entry = {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": TAGS}
    rows = [{"messages": [HI, YES], "images": ["nowhere.jpg"]}]
    target = project({"data.json": json.dumps(rows), "dataset_info.json": json.dumps({"data": entry})})
    before = Path("dataset_info.json").read_text()
    result = mended(target, unsafe=True)
    assert Path("dataset_info.json").read_text() == before and json.loads(Path("data.json").read_text()) == rows
    assert not result.applied and "1 rows fewer would reach the loss" in result.left[0].why


def test_alpaca_rows(project: Project) -> None:
    rows = [
        {"instruction": "Look", "input": "here", "output": "A cat.", "images": ["cat.jpg"]},
        {"instruction": "Add", "input": 12, "output": 1.50, "images": []},
    ]
    columns = {"prompt": "instruction", "query": "input", "response": "output", "images": "images"}
    entry = {"file_name": "data.json", "formatting": "alpaca", "columns": columns}
    target = project({"data.json": json.dumps(rows), "dataset_info.json": json.dumps({"data": entry})})
    mended(target, unsafe=True)
    assert [list(row.values())[:3] for row in json.loads(Path("data.json").read_text())] == [
        ["<image>Look", "here", "A cat."],
        ["Add", "12", "1.5"],
    ]
    assert check(target).findings == ()


def test_text_and_lists_in_a_media_column(project: Project) -> None:
    rows = [{"messages": [LOOK, YES], "images": "cat.jpg"}, {"messages": [LOOK, YES], "images": ["dog.jpg"]}]
    target = project({"data.json": json.dumps(rows)})
    assert "FRM106" in {item.code for item in check(target).findings}
    mended(target)
    assert json.loads(Path("data.json").read_text())[0]["images"] == ["cat.jpg"]
    assert check(target).findings == ()


def test_a_mend_that_would_stop_the_run_is_not_kept(project: Project) -> None:
    """A row that is dropped for its roles stops the trainer at its missing image once its roles are right."""
    row = {"messages": [{"role": "bot", "content": "<image>?"}, YES], "images": ["nowhere.jpg"]}
    row["messages"] = [{"role": "human", "content": "<image>?"}, YES]
    target = project({"data.json": json.dumps([row, SOUND])})
    result = mended(target)
    assert not result.applied
    assert "crash-load (MED001) instead of dropped" in {item.code: item.why for item in result.left}["TRN101"]


ENTRIES = {
    "DSI002": ({"file_name": "Data.JSON"}, {"file_name": "data.json"}),
    "DSI101": ({"formatting": "ShareGPT"}, {"formatting": "sharegpt"}),
}


@pytest.mark.parametrize("code", ENTRIES)
def test_entries_that_only_differ_in_capitals_are_safe(code: str, project: Project) -> None:
    wrong, right = ENTRIES[code]
    entry = {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": TAGS}
    target = project({"dataset_info.json": json.dumps({"data": entry | wrong, "other": entry}, indent=2)})
    before = Path("dataset_info.json").read_text()
    assert code in {item.code for item in check(target).findings}
    mended(target)
    changed = {str(old): str(new) for old, new in zip(wrong.values(), right.values(), strict=True)}
    for old, new in changed.items():
        before = before.replace(f'"{old}"', f'"{new}"')
    assert Path("dataset_info.json").read_text() == before
    assert check(target).findings == ()


def test_a_media_column_that_fits_the_tags_is_mapped_for_sure(project: Project) -> None:
    entry = {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": TAGS}
    info = '{\n\t"data": ' + json.dumps(entry) + "\n}\n"
    target = project(
        {"data.json": json.dumps([{"messages": [LOOK, YES], "images": ["cat.jpg"]}]), "dataset_info.json": info}
    )
    assert {"DSI201", "TAG201"} <= {item.code for item in check(target).findings}
    mended(target)
    wanted = info.replace('{"messages": "messages"}', '{"messages": "messages", "images": "images"}')
    assert Path("dataset_info.json").read_text() == wanted
    assert check(target).findings == ()


def test_media_are_mended_once_and_named_in_all_rows(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def turn(source: Path, target: Path) -> str:
        from PIL import Image, ImageOps

        calls.append(source.name)
        with Image.open(source) as image:
            ImageOps.exif_transpose(image).save(target)
        return "turned"

    fixers = {"IMG301": (MediaFixer(turn, lambda source: ".png", Safety.SAFE),)}
    monkeypatch.setattr(row_mender, "MEDIA_FIXERS", fixers)
    monkeypatch.setattr(engine, "MEDIA_FIXERS", fixers)
    asked = [LOOK | {"content": f"<image> {number}?"} for number in range(3)]
    rows = [{"messages": [ask, YES], "images": ["./turned.jpg"]} for ask in asked]
    target = project({"data.json": json.dumps(rows)})
    Path("turned.fixed.png").write_bytes(b"somebody else's")
    original = Path("turned.jpg").read_bytes()
    result = mended(target)
    assert calls == ["turned.jpg"] and Path("turned.jpg").read_bytes() == original
    assert Path("turned.fixed.png").read_bytes() == b"somebody else's"
    assert [row["images"] for row in json.loads(Path("data.json").read_text())] == [["./turned.fixed1.png"]] * 3
    assert result.applied[0].words == "./turned.jpg → ./turned.fixed1.png: turned"
    assert check(target).findings == ()


def test_media_that_no_row_keeps_are_removed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def useless(source: Path, target: Path) -> str:
        shutil.copy(source, target)
        return "copied"

    def refuse(source: Path, target: Path) -> str:
        raise CannotMend("half of it is missing")

    fixers = {
        "IMG301": (MediaFixer(useless, lambda source: source.suffix, Safety.SAFE),),
        "IMG303": (MediaFixer(refuse, lambda source: ".png", Safety.SAFE),),
    }
    monkeypatch.setattr(row_mender, "MEDIA_FIXERS", fixers)
    monkeypatch.setattr(engine, "MEDIA_FIXERS", fixers)
    rows = [{"messages": [LOOK, YES], "images": ["turned.jpg"]}, {"messages": [LOOK, YES], "images": ["deep.png"]}]
    target = project({"data.json": json.dumps(rows)})
    before = set(Path().iterdir())
    result = mended(target)
    assert set(Path().iterdir()) == before and not result.applied
    assert {item.code: item.why for item in result.left} == {
        "IMG301": "IMG301 would still be there",
        "IMG303": "half of it is missing",
    }


def test_every_fixer_is_documented() -> None:
    for fixer in {*registry.ROW_FIXERS.values(), *registry.ENTRY_FIXERS.values()}:
        assert fixer.__doc__ or fixer.__name__ == "mend"
