"""`curate convert`: what a format can hold comes back, what it cannot is named, files are whole or not there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.cli import main
from curate.writers import shapes
from validators.errors import UsageFault

SAMPLES = Path(__file__).parent / "samples"
KINDS = ("image", "video", "audio")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda text: text.strip() and not any(mark in text for mark in ("<image>", "<video>", "<audio>", "tool_response>"))
)
NAME = st.text("abcdefgh_/", min_size=1, max_size=8).filter(lambda name: name.strip("/") == name)
CALL = st.fixed_dictionaries(
    {"name": NAME, "arguments": st.dictionaries(NAME, TEXT | st.integers() | st.booleans() | st.none(), max_size=3)}
)


@st.composite
def rows(draw: st.DrawFn, tools: bool, system: bool) -> dict[str, Any]:
    """A row of our sharegpt form: turns in order, a tag for each medium."""
    messages: list[dict[str, str]] = []
    media: dict[str, list[str]] = {f"{kind}s": [] for kind in KINDS}
    if system and draw(st.booleans()):
        messages.append({"role": "system", "content": draw(TEXT)})
    for number in range(draw(st.integers(1, 3))):
        content = draw(TEXT)
        for kind in draw(st.lists(st.sampled_from(KINDS), max_size=2)):
            media[f"{kind}s"].append(f"{draw(NAME)}{number}.bin")
            content = f"<{kind}>{content}" if draw(st.booleans()) else f"{content}<{kind}>"
        messages.append({"role": "user", "content": content})
        if tools and draw(st.booleans()):
            calls = draw(st.lists(CALL, min_size=1, max_size=3))
            value = calls[0] if len(calls) == 1 else calls
            messages.append({"role": "function", "content": json.dumps(value, ensure_ascii=False)})
            messages.append({"role": "observation", "content": draw(TEXT)})
        messages.append({"role": "assistant", "content": draw(TEXT)})
    given_tools = json.dumps([{"name": draw(NAME)}]) if tools and draw(st.booleans()) else ""
    return {"messages": messages, **media, "tools": given_tools}


def there_and_back(folder: Path, data: list[dict[str, Any]], shape: str) -> list[dict[str, Any]]:
    """Our rows to another format and back."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "rows.json").write_text(json.dumps(data))
    middle = folder / f"middle{shapes.BY_NAME[shape].suffixes[-1]}"
    assert (
        main(["convert", str(folder / "rows.json"), str(middle), "--from", "sharegpt", "--to", shape, "--strict"]) == 0
    )
    back = "sharegpt" if shape == "parquet" else shape
    assert main(["convert", str(middle), str(folder / "back.json"), "--from", back, "--to", "sharegpt"]) == 0
    return list(json.loads((folder / "back.json").read_text()))


def comparable(row: dict[str, Any]) -> tuple[object, ...]:
    """A row whatever columns its neighbours need, and in whatever order a call has its keys."""
    messages = [
        (turn["role"], json.loads(turn["content"]) if turn["role"] == "function" else turn["content"])
        for turn in row["messages"]
    ]
    return messages, row.get("tools", ""), *(row.get(f"{kind}s", []) for kind in KINDS)


WHOLE = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("shape", ["sharegpt", "openai", "ms-swift", "parquet"])
@WHOLE
@given(data=st.lists(rows(tools=True, system=True), min_size=1, max_size=3))
def test_these_formats_hold_everything(shape: str, tmp_path: Path, data: list[dict[str, Any]]) -> None:
    assert list(map(comparable, there_and_back(tmp_path / "x", data, shape))) == list(map(comparable, data))


@WHOLE
@given(data=st.lists(rows(tools=False, system=True), min_size=1, max_size=3))
def test_alpaca_holds_all_but_tool_turns(tmp_path: Path, data: list[dict[str, Any]]) -> None:
    assert list(map(comparable, there_and_back(tmp_path / "x", data, "alpaca"))) == list(map(comparable, data))


@WHOLE
@given(data=st.lists(rows(tools=False, system=False), min_size=1, max_size=3))
def test_llava_holds_questions_answers_and_media(tmp_path: Path, data: list[dict[str, Any]]) -> None:
    assert list(map(comparable, there_and_back(tmp_path / "x", data, "llava"))) == list(map(comparable, data))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    shutil.copytree(SAMPLES, tmp_path / "samples")
    return tmp_path / "samples"


def test_what_a_format_cannot_hold_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["convert", str(home / "sharegpt" / "data.json"), str(home / "out.json"), "--to", "llava"]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "data.json read as sharegpt" in printed.out and "in dataset_info.json" not in printed.out
    assert printed.err.splitlines() == [
        "curate: llava cannot hold system (1 row)",
        "curate: dropped 1: tool calls and responses have no place in llava",
    ]
    assert main([*words, "--force", "--strict"]) == 1
    (row,) = json.loads((home / "out.json").read_text())
    assert row["image"] == "media/red.jpg" and row["conversations"][0] == {
        "from": "human",
        "value": "<image>What is it?",
    }


def test_the_source_s_own_losses_are_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = home / "qwen" / "messages.jsonl"
    assert main(["convert", str(source), str(home / "out.jsonl"), "--to", "ms-swift", "--strict"]) == 1
    assert "fields not carried over: image.min_pixels (1 row), video.fps (1 row)" in capsys.readouterr().err


def test_equal_rows_stay(home: Path) -> None:
    row = json.dumps({"instruction": "Hi.", "output": "Ho."})
    (home / "rows.jsonl").write_text(f"{row}\n{row}\n")
    assert main(["convert", str(home / "rows.jsonl"), str(home / "out.json"), "--to", "sharegpt", "--strict"]) == 0
    assert len(json.loads((home / "out.json").read_text())) == 2


def test_media_inside_the_data_become_files_beside_the_output(home: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    out = tmp_path / "new" / "out.jsonl"
    words = ["convert", str(home / "parquet"), str(out), "--to", "sharegpt", "--media-root", str(tmp_path / "new")]
    assert main(words) == 0
    paths = [json.loads(line)["images"][0] for line in out.read_text().splitlines()]
    assert [(tmp_path / "new" / path).read_bytes() for path in paths] == [
        (SAMPLES / "media" / name).read_bytes() for name in ("red.jpg", "blue.png")
    ]
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"out.jsonl", "media"}


def test_media_inside_the_data_need_a_root_above(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(home / "parquet"), str(tmp_path / "out.json"), "--to", "sharegpt"]) == 2
    assert "name a folder above both with --media-root" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists() and not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["alpaca/alpaca.json", "sharegpt/data.json", "--to", "sharegpt"], "already there"),
        (["alpaca/alpaca.json", "out.parquet", "--to", "alpaca"], "expected .json or .jsonl"),
        (["alpaca/alpaca.json", "out.json", "--to", "parquet"], "expected .parquet"),
        (["alpaca/alpaca.json", "alpaca/alpaca.json", "--to", "llava", "--force"], "the source itself"),
        (["gone.json", "out.json", "--to", "llava"], "not found"),
        (["folder/red.jpg", "out.json", "--to", "llava"], "of no known form"),
        (["sharegpt/data.json", "out.json", "--to", "llava", "--from", "alpaca"], "no row that llava can hold"),
        (["sharegpt/data.json", "folder/red.jpg/out.json", "--to", "llava"], "Not a directory"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(
    words: list[str], said: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert main(["convert", *words]) == 2
    assert said in capsys.readouterr().err
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_a_broken_source_leaves_the_old_output(home: Path) -> None:
    (home / "rows.jsonl").write_text('{"instruction": "Hi.", "output": "Ho."}\n{oops\n')
    (home / "out.json").write_text("old")
    with pytest.raises(UsageFault):
        from curate.convert import convert
        from curate.recipe import Source

        convert(Source("alpaca", home / "rows.jsonl"), home, home / "out.json", shapes.BY_NAME["sharegpt"])
    assert (home / "out.json").read_text() == "old" and not list(home.glob(".out*"))
