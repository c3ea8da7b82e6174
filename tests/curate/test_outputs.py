"""The forms of a build's files: what lies where, and what reads a build reads each of them the same."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.cli import main
from curate.schema import canonical_schema
from curate.writers import outputs
from curate.writers.built import read_build
from curate.writers.form import Form
from curate.writers.hub import plain_files
from curate.writers.layout import Kind, Layout
from curate.writers.outputs import groups, write_output
from tests.curate.steps.scaffold import store
from validators.errors import UsageFault
from validators.model import MediaKind

ROOT = Path(__file__).resolve().parents[2]
FORMS: dict[str, object] = {
    "jsonl": "jsonl",
    "parquet": "parquet",
    "arrow": "arrow",
    "jsonl-shards": {"form": "jsonl", "shard_rows": 2},
    "parquet-shards": {"form": "parquet", "shard_rows": 2},
    "arrow-shards": {"form": "arrow", "shard_bytes": 1},
}
FILES = {
    "jsonl": ["cats.jsonl"],
    "parquet": ["cats/part-00000.parquet"],
    "arrow": ["cats/part-00000.arrow"],
    "jsonl-shards": [f"cats/part-0000{number}.jsonl" for number in range(3)],
    "parquet-shards": [f"cats/part-0000{number}.parquet" for number in range(3)],
    "arrow-shards": [f"cats/part-0000{number}.arrow" for number in range(5)],
}


def talk(question: str, answer: str) -> dict[str, object]:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages, "images": ["cat.jpg"]}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("forms")
    shutil.copy(ROOT / "examples" / "demo" / "media" / "images" / "1.jpg", home / "cat.jpg")
    rows = [talk(f"<image>What of number {number}?", f"Cat number {number}.") for number in range(5)]
    (home / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    build(home, "json", "json")
    for form, output in FORMS.items():
        build(home, form, output)
    return home


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Path:
    """A home to change."""
    for name in ("cat.jpg", "rows.jsonl"):
        shutil.copy(home / name, tmp_path / name)
    return tmp_path


def build(home: Path, target: str, output: object, name: str = "cats", **more: object) -> int:
    source = {"format": "sharegpt", "path": "rows.jsonl"}
    recipe = {"version": 1, "target": target, "output": output, "datasets": [{"name": name, "sources": [source]}]}
    (home / f"{target}.yaml").write_text(json.dumps(recipe | more))
    return main(["build", str(home / f"{target}.yaml")])


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(list(words)) == code
    return capsys.readouterr().out


@pytest.mark.parametrize("form", FORMS)
def test_files_entry_and_manifest(form: str, home: Path) -> None:
    out = home / form
    found = contents(out)
    rest = {"dataset_info.json", "ledger.jsonl", "lock.json", "manifest.json", "rejects.jsonl"}
    assert sorted(path for path in found.keys() - rest if not path.startswith("arrow/")) == FILES[form]
    entry = json.loads((out / "dataset_info.json").read_text())["cats"]
    assert entry["file_name"] == ("cats.jsonl" if form == "jsonl" else "cats")
    assert entry["columns"] == {"messages": "messages", "images": "images"}
    data = json.loads((out / "manifest.json").read_text())["datasets"]["cats"]["data"]
    assert {each["file"]: each["sha256"] for each in data} == {file: found[file] for file in FILES[form]}
    rows = [row for each in data for row in read(out / each["file"])]
    assert rows == json.loads((home / "json" / "cats.json").read_text())
    assert [each["rows"] for each in data] == [len(read(out / each["file"])) for each in data]


def read(path: Path) -> list[dict[str, Any]]:
    match path.suffix:
        case ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
        case ".parquet":
            return pq.read_table(path).to_pylist()
        case _:
            return pl.read_ipc_stream(path).to_dicts()


@pytest.mark.parametrize("form", FORMS)
def test_the_same_rows_give_the_same_bytes(form: str, own: Path, home: Path) -> None:
    assert build(own, form, FORMS[form]) == 0
    assert contents(own / form) == contents(home / form)


@pytest.mark.parametrize("form", FORMS)
def test_what_reads_a_build_reads_each_form(
    form: str, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.listdir
    monkeypatch.setattr(os, "listdir", lambda *path: sorted(listed(*path), reverse=True))
    as_json, out = str(home / "json"), str(home / form)
    assert "All checks passed" in said(capsys, "check", out)
    assert said(capsys, "stats", out) == said(capsys, "stats", as_json)
    # shards listed backwards: their rows have moved, and are no others
    difference = said(capsys, "diff", as_json, out, code=1).splitlines()
    assert difference[0].startswith("cats: 5 → 5 rows: 5 equal")
    assert ("moved" in difference[0]) == ("shards" in form)
    assert [line.split()[:2] for line in difference[1:-1]] == [["entry", "file_name"], ["manifest", "recipe"]]
    ids = pa.ipc.open_stream((home / form / "arrow/cats/data-00000-of-00001.arrow").read_bytes()).read_all()["id"]
    shown = said(capsys, "view", out, "--id", ids[3].as_py())
    assert "Cat number 3." in shown and "Cat number 1." not in shown
    source = home / form / ("cats.jsonl" if form == "jsonl" else "cats")
    made = home / f"{form}-again.json"
    said(capsys, "convert", str(source), str(made), "--media-root", str(home), "--to", "sharegpt", "--force")
    assert json.loads(made.read_text()) == json.loads((home / "json" / "cats.json").read_text())


@pytest.mark.parametrize("form", FORMS)
def test_a_push_takes_all_files_along(form: str, home: Path, tmp_path: Path) -> None:
    sent = {item.path: item for item in plain_files(read_build(home / form), tmp_path)}
    assert sent.keys() == {f"files/{file}" for file in FILES[form]} | {"files/dataset_info.json", "files/media/cat.jpg"}
    for file in FILES[form]:
        assert sent[f"files/{file}"].source.read_bytes() == (home / form / file).read_bytes()
    entry = json.loads(sent["files/dataset_info.json"].source.read_text())["cats"]
    assert entry["file_name"] == ("cats.jsonl" if form == "jsonl" else "cats")


def test_a_plan_names_the_files(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "  write cats/part-*.parquet\n" in said(capsys, "build", str(home / "parquet.yaml"), "--dry-run")
    assert "  write cats.jsonl\n" in said(capsys, "build", str(home / "jsonl.yaml"), "--dry-run")
    assert "  write cats.json\n" in said(capsys, "build", str(home / "json.yaml"), "--dry-run")


def test_another_form_leaves_nothing_of_the_one_before(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(own, "out", "json") == 0
    assert build(own, "out", FORMS["parquet-shards"]) == 0
    assert "1 of 2 parts kept from the last build; made anew: cats: written" in capsys.readouterr().out
    assert not (own / "out" / "cats.json").exists()
    assert build(own, "out", {"form": "parquet", "shard_rows": 4}) == 0
    assert sorted(path.name for path in (own / "out" / "cats").iterdir()) == [
        "part-00000.parquet",
        "part-00001.parquet",
    ]
    assert build(own, "out", "json") == 0
    assert not (own / "out" / "cats").exists() and (own / "out" / "cats.json").is_file()


def test_a_stranger_among_the_shards_is_not_loaded_with_them(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(own, "out", "parquet") == 0
    shutil.copy(own / "out" / "cats" / "part-00000.parquet", own / "out" / "cats" / "mine.parquet")
    before = contents(own / "out")
    assert build(own, "out", "parquet") == 2
    assert "mine.parquet: not of this build" in capsys.readouterr().err
    assert contents(own / "out") == before


def row(number: int, images: int = 0, text: str = "x") -> dict[str, object]:
    turns = [{"role": "user", "content": "<image>" * images + text}, {"role": "assistant", "content": str(number)}]
    empty = {"videos": [], "audios": [], "system": None, "split": None, "source": "s", "meta": None}
    return {"id": str(number), "messages": turns, "images": ["a.jpg"] * images, "tools": None} | empty


PICTURES = Form((MediaKind.IMAGE,), tools=True)


@pytest.mark.parametrize("sizes", [[], [3], [999, 1, 1], [2500], [1] * 1001, [400, 1700, 0, 5]])
def test_rows_come_by_the_thousand_in_their_order(sizes: list[int]) -> None:
    total = iter(range(sum(sizes)))
    lots = [pa.record_batch({"n": pa.array([next(total) for _ in range(size)], pa.int64())}) for size in sizes]
    made = list(groups(lots))
    assert [value for table in made for value in table["n"].to_pylist()] == list(range(sum(sizes)))
    assert [table.num_rows for table in made] == [1000] * (sum(sizes) // 1000) + [sum(sizes) % 1000] * (
        sum(sizes) % 1000 > 0
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.text(), st.lists(st.text('a/"\\é\t'), max_size=3), st.none() | st.text()), min_size=1))
def test_json_is_laid_out_as_by_json_dumps(values: list[tuple[str, list[str], str | None]]) -> None:
    rows = [row(0, text=text) | {"images": paths, "tools": tools} for text, paths, tools in values]
    kept = [{name: each[name] for name in ("messages", "images")} | {"tools": each["tools"] or ""} for each in rows]
    with tempfile.TemporaryDirectory() as name:
        lots = [pa.RecordBatch.from_pylist([each], schema=canonical_schema()) for each in rows]
        with pa.ipc.new_stream(f"{name}/stream", canonical_schema()) as stream:
            for lot in lots:
                stream.write_batch(lot)
        write_output("data", Path(name) / "stream", PICTURES, Layout(), Path(name))
        assert (Path(name) / "data.json").read_text() == json.dumps(kept, ensure_ascii=False, indent=2) + "\n"


@pytest.mark.parametrize("kind", [Kind.PARQUET, Kind.ARROW])
def test_a_shard_ends_near_its_size(kind: Kind, tmp_path: Path) -> None:
    rows = [row(number, 1, random.Random(number).randbytes(1000).hex()) for number in range(400)]
    stream = store(rows, tmp_path / "stream")
    files = write_output("cats", stream, PICTURES, Layout(kind, shard_bytes=100_000), tmp_path)
    sizes = [(tmp_path / each.file).stat().st_size for each in files]
    assert len(files) > 3 and sum(each.rows for each in files) == 400
    assert all(100_000 <= size < 130_000 for size in sizes[:-1]) and sizes[-1] < 130_000
    if kind is Kind.PARQUET:
        groups_of = [pq.ParquetFile(tmp_path / each.file).num_row_groups for each in files]
        assert max(groups_of) <= 20, "not a group for each few rows"


@pytest.mark.parametrize("kind", [Kind.JSONL, Kind.PARQUET, Kind.ARROW])
def test_tools_are_text_in_each_row(kind: Kind, tmp_path: Path) -> None:
    stream = store([row(0, 1), row(1) | {"tools": "[]"}], tmp_path / "stream")
    (file,) = write_output("cats", stream, PICTURES, Layout(kind), tmp_path)
    assert [value["tools"] for value in read(tmp_path / file.file)] == ["", "[]"]


def test_each_shard_of_json_lines_shows_its_types(tmp_path: Path) -> None:
    stream = store([row(0, 1), row(1), row(2), row(3, 1)], tmp_path / "stream")
    files = write_output("pairs", stream, PICTURES, Layout(Kind.JSONL, shard_rows=2), tmp_path)
    assert [each.rows for each in files] == [2, 2]
    with pytest.raises(UsageFault, match=r"ones/part-00001.jsonl: no row in the first 10 MiB has images"):
        write_output("ones", stream, PICTURES, Layout(Kind.JSONL, shard_rows=1), tmp_path)


def test_more_shards_than_names_sort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "MOST_SHARDS", 3)
    stream = store([row(number) for number in range(4)], tmp_path / "stream")
    assert len(write_output("three", stream, Form(), Layout(Kind.ARROW, shard_rows=2), tmp_path)) == 2
    with pytest.raises(UsageFault, match="more than 3 shards"):
        write_output("four", stream, Form(), Layout(Kind.ARROW, shard_rows=1), tmp_path)


@pytest.mark.parametrize("kind", [Kind.PARQUET, Kind.ARROW])
def test_no_rows_are_a_file_that_says_so(kind: Kind, tmp_path: Path) -> None:
    (file,) = write_output("none", store([], tmp_path / "stream"), Form(), Layout(kind), tmp_path)
    assert (file.rows, read(tmp_path / file.file)) == (0, [])
