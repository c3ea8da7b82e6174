"""Each form of a build in the real llamafactory: the same converted rows as from NAME.json, in the order foretold."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from datasets.exceptions import DatasetGenerationError

from curate.cli import main
from tests.curate.trainer_rows import TALK, TOOLS, expected, facts, loaded
from validators.engine import check
from validators.settings import TrainerSettings
from validators.sources.target import resolve

pytestmark = pytest.mark.trainer
SAMPLES = Path(__file__).parent / "samples"
MIB = 1 << 20
WORDS = [
    "2024-05-01",
    'a "quote" \\ and \u2028',
    "Größe 很好 \U0001f600",
    "tab\tline\nend\r",
    "\x01\x7f",
    "null",
    "[]",
    "1e400",
]


def talk(text: str, **more: object) -> dict[str, Any]:
    """A row of two turns."""
    return {
        "messages": [
            {"role": "user", "content": text},
            {"role": "assistant", "content": f"{text.replace('<image>', '')}!"},
        ],
        **more,
    }


ROWS: dict[str, list[dict[str, Any]]] = {
    "pictures": [
        talk("Hello."),
        *(talk(f"<image>What is {number}?", images=["media/red.jpg"]) for number in range(3)),
        talk("<image><image>Two?", images=["media/red.jpg", "media/red.jpg"]),
        talk("Bye."),
    ],
    "tools": [*TOOLS, *TALK, talk("No tools.")],
    "text": [talk(word) for word in WORDS],
}
FORMS: dict[str, tuple[object, tuple[str, ...]]] = {
    "jsonl": ("jsonl", tuple(ROWS)),
    "parquet": ("parquet", tuple(ROWS)),
    "arrow": ("arrow", tuple(ROWS)),
    "parquet-shards": ({"form": "parquet", "shard_rows": 1}, tuple(ROWS)),
    "arrow-shards": ({"form": "arrow", "shard_bytes": 1}, tuple(ROWS)),
    "jsonl-shards": ({"form": "jsonl", "shard_rows": 3}, ("text",)),
}


def build(home: Path, output: object, names: tuple[str, ...], target: str) -> Path:
    """The datasets of these names, built in a form."""
    recipe: dict[str, Any] = {"version": 1, "target": target, "output": output}
    recipe["datasets"] = [{"name": name, "sources": [{"path": f"{name}.json"}]} for name in names]
    (home / f"{target}.yaml").write_text(json.dumps(recipe))
    assert main(["build", str(home / f"{target}.yaml")]) == 0
    return home / target


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("outputs")
    shutil.copytree(SAMPLES / "media", home / "media")
    for name, rows in ROWS.items():
        (home / f"{name}.json").write_text(json.dumps(rows))
    return home


@pytest.fixture(scope="module")
def from_json(home: Path) -> dict[str, list[dict[str, Any]]]:
    """The trainer's rows from the JSON form, which are those that went in."""
    out = build(home, "json", tuple(ROWS), "json")
    found = {name: loaded(out, name, home) for name in ROWS}
    assert {name: [facts(row, home) for row in rows] for name, rows in found.items()} == {
        name: [expected(row) for row in rows] for name, rows in ROWS.items()
    }
    return found


@pytest.mark.parametrize("form", FORMS)
def test_a_form_loads_to_the_rows_of_the_json_form(
    form: str, home: Path, from_json: dict[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # a disk that lists names backwards: the order is the system's, here and in the trainer
    listed = os.listdir
    monkeypatch.setattr(os, "listdir", lambda *path: sorted(listed(*path), reverse=True))
    output, names = FORMS[form]
    out = build(home, output, names, form)
    manifest = json.loads((out / "manifest.json").read_text())
    for name in names:
        files = manifest["datasets"][name]["data"]
        wanted = iter(from_json[name])
        lots = [[next(wanted) for _ in range(file["rows"])] for file in files]
        assert next(wanted, None) is None
        assert ("shards" in form) == (len(files) > 1)
        rows = loaded(out, name, home)
        assert rows == [row for lot in reversed(lots) for row in lot]
        assert [facts(row, home) for row in rows] == [expected(row) for row in our_reading(out, name)]
    assert judged(out, names) == judged(home / "json", names)


def judged(out: Path, names: tuple[str, ...]) -> tuple[object, ...]:
    """What `curate check` says of these datasets: findings without their places, rows, outcomes."""
    report = check(out)
    assert report.errors == 0
    found = sorted((one.code, one.found) for one in report.findings if one.dataset in names)
    return found, [(one.name, one.rows, dict(one.outcomes)) for one in report.datasets if one.name in names]


def our_reading(out: Path, name: str) -> list[dict[str, Any]]:
    """The rows in the order in which `curate check` sees them."""
    plan = resolve(f"{out / 'dataset_info.json'}:{name}", TrainerSettings(), None)
    found: list[dict[str, Any]] = []
    for chunk in plan.datasets[0].loader().chunks():
        found += [row.value for row in chunk.raw_rows()]  # type: ignore[misc]
    return found


@pytest.mark.parametrize(("texts", "loads"), [(9, True), (10, False)])
def test_json_lines_are_refused_just_where_the_trainer_cannot_load_them(
    texts: int, loads: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of a MiB: after ten of them the loader's first 10 MiB have no image, and the type of none is given."""
    (tmp_path / "a.jpg").write_bytes((SAMPLES / "media" / "red.jpg").read_bytes())
    rows = [talk(f"{number}{'x' * (MIB // 2)}", images=[]) for number in range(texts)]
    rows.append(talk("<image>y", images=["a.jpg"]))
    with (tmp_path / "rows.jsonl").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "recipe.yaml").write_text(
        "version: 1\ntarget: out\noutput: jsonl\ndatasets: [{name: rows, sources: [{path: rows.jsonl}]}]\n"
    )
    columns = {"messages": "messages", "images": "images"}
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    entry = {"file_name": "rows.jsonl", "formatting": "sharegpt", "columns": columns, "tags": tags}
    (tmp_path / "dataset_info.json").write_text(json.dumps({"rows": entry}))
    assert main(["build", str(tmp_path / "recipe.yaml")]) == (0 if loads else 2)
    if loads:
        assert len(loaded(tmp_path / "out", "rows", tmp_path)) == len(loaded(tmp_path, "rows")) == len(rows)
        return
    assert "rows.jsonl: no row in the first 10 MiB has images" in capsys.readouterr().err
    with pytest.raises(DatasetGenerationError):
        loaded(tmp_path, "rows")
