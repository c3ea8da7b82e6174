"""Each column of a source feeds one field: as many media come out as went in, and as many tags as media."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from itertools import permutations, product
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyarrow import feather

from curate.cli import main
from curate.ingest import alpaca, captions, llava, ms_swift, openai, qwen, sharegpt
from curate.ingest.fields import MEDIA_FIELDS, Fields
from curate.ingest.raw import NoUse, Options
from curate.ingest.tables import Shape

FILES = {"file_name": "1.jpg", "image": "1.jpg", "video": "1.mp4", "audio": "1.mp3"}
TEXTS = ("caption", "text", "answer", "question")
ELSE = ("photo", "label")
COLUMNS = (*sorted(MEDIA_FIELDS), *TEXTS, *ELSE)
TALK = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A man"}]
CHAT = [{"from": "human", "value": "What is it?"}, {"from": "gpt", "value": "A man"}]
READERS: Mapping[str, tuple[Shape, tuple[str, ...], Mapping[str, object]]] = {
    "alpaca": (alpaca.item, alpaca.COLUMNS, {"instruction": "What is it?", "output": "A man"}),
    "llava": (llava.item, llava.COLUMNS, {"conversations": CHAT}),
    "ms-swift": (ms_swift.item, ms_swift.COLUMNS, {"messages": TALK}),
    "openai": (openai.item, openai.COLUMNS, {"messages": TALK}),
    "qwen": (qwen.item, qwen.COLUMNS, {"messages": TALK}),
    "sharegpt": (sharegpt.item, sharegpt.COLUMNS, {"messages": TALK}),
}
"""Readers of rows by their shape: the fields that can be mapped, and what a row has beside its medium."""


def medium(field: str) -> str:
    """A file that a field of media can hold."""
    return FILES.get(field.removesuffix("s"), "1.jpg")


@pytest.mark.parametrize("field", sorted(MEDIA_FIELDS))
def test_one_medium_of_a_caption_row_stays_one(field: str) -> None:
    """Any field of media from any column, with a caption from any other."""
    read = 0
    for text, (media_column, text_column) in product(("caption", "text"), permutations(COLUMNS, 2)):
        row = {media_column: medium(field), text_column: "A man"}
        options = Options({field: media_column, text: text_column})
        item = captions.item(Fields(Path("a.csv"), 0, row, options))
        assert [given for _, given in item.media] == [medium(field)], options
        assert item.caption == "A man" and not item.left, options
        read += 1
    assert read == 2 * len(COLUMNS) * (len(COLUMNS) - 1)


@pytest.mark.parametrize("field", sorted(MEDIA_FIELDS))
def test_a_medium_inside_a_column_stays_one(field: str) -> None:
    for column in (*MEDIA_FIELDS, *ELSE):
        row = {column: {"path": medium(field)}, "said": "A man"}
        options = Options({field: f"{column}.path", "caption": "said"})
        assert len(captions.item(Fields(Path("a.json"), 0, row, options)).media) == 1, options


@pytest.mark.parametrize("name", READERS)
def test_one_medium_of_any_reader_stays_one(name: str) -> None:
    """Its fields of media from columns of any name that the row does not need for its texts."""
    shape, fields, rest = READERS[name]
    for field in (each for each in fields if each in MEDIA_FIELDS):
        for column in (each for each in COLUMNS if each not in rest):
            row = {column: [medium(field)], **rest}
            item = shape(Fields(Path("a.json"), 0, row, Options({field: column})))
            assert [given for _, given in item.media] == [medium(field)], (field, column)


def write_csv(rows: list[dict[str, str]], path: Path, mark: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), delimiter=mark)
        table.writeheader()
        table.writerows(rows)


def write_lines(rows: list[dict[str, str]], path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_parquet(rows: list[dict[str, str]], path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


WRITERS: Mapping[str, tuple[str, Callable[[list[dict[str, str]], Path], None]]] = {
    "csv": ("a.csv", write_csv),
    "tsv": ("a.tsv", lambda rows, path: write_csv(rows, path, "\t")),
    "json": ("a.json", lambda rows, path: Path(path).write_text(json.dumps(rows)) and None),
    "jsonl": ("a.jsonl", write_lines),
    "parquet": ("a.parquet", write_parquet),
    "arrow": ("a.arrow", lambda rows, path: feather.write_feather(pa.Table.from_pylist(rows), str(path))),
}


@pytest.mark.parametrize(
    "columns", [("image", "text"), ("images", "caption"), ("file_name", "answer"), ("photo", "image")]
)
@pytest.mark.parametrize("form", WRITERS)
def test_media_out_are_media_in(
    form: str, columns: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each format of tables, for a medium under each field's name and a text under another's."""
    monkeypatch.chdir(tmp_path)
    name, write = WRITERS[form]
    rows = []
    for number in range(3):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(f"{number}.png")
        rows.append({columns[0]: f"{number}.png", columns[1]: f"Picture {number}"})
    write(rows, tmp_path / name)
    for field in ("file_name", "image", "images"):
        source = {"format": form, "path": name, "columns": {field: columns[0], "caption": columns[1]}}
        recipe = {"version": 1, "target": "out", "datasets": [{"name": "d", "sources": [source]}]}
        Path("recipe.yaml").write_text(json.dumps(recipe))
        assert main(["build", "recipe.yaml"]) == 0
        built = json.loads(Path("out/d.json").read_text())
        assert [row["images"] for row in built] == [[f"{number}.png"] for number in range(3)]
        assert [row["messages"][0]["content"].count("<image>") for row in built] == [1, 1, 1]


def test_a_column_in_two_fields_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("image,text\n1.jpg,A man\n")
    source = {"format": "csv", "path": "a.csv", "columns": {"file_name": "image", "image": "image", "caption": "text"}}
    recipe = {"version": 1, "target": "out", "datasets": [{"name": "d", "sources": [source]}]}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    assert main(["build", str(tmp_path / "recipe.yaml")]) == 2
    assert "columns file_name and image both read 'image'" in capsys.readouterr().err


def test_a_header_with_a_name_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("image,text,image\n1.jpg,A man,2.jpg\n")
    source = {"format": "csv", "path": "a.csv"}
    recipe = {"version": 1, "target": "out", "datasets": [{"name": "d", "sources": [source]}]}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    assert main(["build", str(tmp_path / "recipe.yaml")]) == 2
    assert "two columns named 'image'" in capsys.readouterr().err


def test_a_mapped_medium_of_an_image_folder_is_no_caption_too() -> None:
    """What is taken for a text is no medium as well."""
    row = {"file_name": "1.jpg"}
    with pytest.raises(NoUse):
        captions.item(Fields(Path("a.csv"), 0, row, Options({"caption": "file_name"})))
