"""Rows out of JSON text, wherever the reader's window ends, and text that no column can hold."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from validators.sources import rows as reading
from validators.sources.aligner import storable


@pytest.mark.parametrize("chunk", range(1, 9))
@pytest.mark.parametrize("form", ["{}", "[{}]"])
def test_numbers_are_not_split(chunk: int, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`2.50` is no `2` where the window ends after it, and `1e+3` no `1`."""
    monkeypatch.setattr(reading, "CHUNK_CHARS", chunk)
    path = tmp_path / "data.json"
    for text, value in (("2.50", 2.5), ("1e+3", 1000.0), ("-0.25E-1", -0.025), ("17", 17), ("null", None)):
        path.write_text(form.format(text))
        assert [row.value for row in reading.iter_rows(path)] == [value]
    path.write_text("2.50 1e+3\n7")
    assert [row.value for row in reading.iter_rows(path)] == [2.5, 1000.0, 7]


@pytest.mark.parametrize("escape", [r"\ud83d", r"a\ud83db", r"\ud83d\ude00\udbff", r"\udbff\n", "plain"])
def test_half_a_pair_is_dropped_as_the_loader_drops_it(escape: str) -> None:
    """datasets 4.0.0 reads arrays with pandas (packaged_modules/json/json.py: pandas_read_json)."""
    import json

    frame = pd.read_json(io.StringIO(f'[{{"a": "{escape}"}}, {{"a": "b"}}]'), dtype_backend="pyarrow")
    assert storable(json.loads(f'"{escape}"')) == frame["a"][0]
