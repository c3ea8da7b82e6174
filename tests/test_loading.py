"""Where the loader's faults are placed, and files that must not take the process down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scaffold import ROWS, TAGS, Overlay
from validators.engine import CheckOptions, check
from validators.findings import Finding
from validators.sources import json_loading

Project = Callable[[Overlay], Path]
ENTRY = {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": TAGS}


def one(path: Path, code: str) -> Finding:
    """The only finding of a code."""
    (finding,) = [item for item in check(path).findings if item.code == code]
    return finding


def numbered(values: list[object], lines: bool) -> str:
    """Sound rows with an `id` each."""
    texts = [json.dumps(ROWS[0] | {"id": value}) for value in values]
    return "\n".join(texts) if lines else f"[{', '.join(texts)}]"


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize("odd_bytes", [0, json_loading.ODD_BYTES])
def test_mixed_types_name_the_first_row_that_differs(
    lines: bool, odd_bytes: int, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row, column path and both types, for files of any form and size; all rows stop with it."""
    monkeypatch.setattr(json_loading, "ODD_BYTES", odd_bytes)
    path = project({"data.json": numbered([None, {"a": [1]}, {"a": [2]}, {"a": ["x"]}, {"a": True}], lines)})
    finding = one(path, "FRM106")
    assert (finding.place.row, finding.place.path) == (3, "id.a[]")
    assert "a string" in finding.found and "a number" in finding.found
    (dataset,) = check(path).datasets
    assert dict(dataset.outcomes) == {"crash-load": 5}


def test_rows_of_a_folder_are_named_in_their_own_file(project: Project) -> None:
    """The number of a row counts from its file's first one, whatever came before."""
    good, bad = json.dumps(ROWS), json.dumps([ROWS[0], {"messages": []}])
    info = json.dumps({"data": ENTRY | {"file_name": "parts"}})
    path = project({"parts/a.json": good, "parts/b.json": bad, "dataset_info.json": info})
    finding = one(path, "TRN001")
    assert finding.file.endswith("b.json") and finding.place.row == 1
    report = check(path, CheckOptions(keep_rows=True))
    assert report.rows_in == 4 and report.rows_reaching == 3
    assert report.datasets[0].predictions is not None and len(report.datasets[0].predictions) == 4


@pytest.mark.parametrize("text", ["null", "nullx", '{"a": 1}\nnull', '{"a": ' + "[" * 1_000_000, "[" * 1_000_000])
def test_text_that_breaks_the_parsers_is_a_finding(text: str, project: Project) -> None:
    """Bare words and endless nesting, for which the real parser takes the process down."""
    assert "FRM101" in {item.code for item in check(project({"data.json": text})).findings}


def test_alpaca_places_are_columns(project: Project) -> None:
    """A turn of a row without messages is named by the column that holds it."""
    row = {"instruction": "a", "input": "", "output": " ", "history": [["b", ""], ["c", "d"]]}
    columns = {"prompt": "instruction", "query": "input", "response": "output", "history": "history"}
    info = {"data": {"file_name": "data.json", "formatting": "alpaca", "columns": columns}}
    path = project({"data.json": json.dumps([row]), "dataset_info.json": json.dumps(info)})
    places = {item.place.path for item in check(path).findings if item.code == "TRN002"}
    assert places == {"history[0][1]", "output"}


def test_a_bare_alpaca_file_is_known_by_its_columns(project: Project) -> None:
    """Without an entry, the first row says what the columns are."""
    folder = project({}).parent / "bare"
    folder.mkdir()
    (folder / "x.csv").write_text("instruction,input,output\nHi,,Hello.\n")
    report = check(folder / "x.csv")
    assert report.findings == () and report.rows_reaching == 1
