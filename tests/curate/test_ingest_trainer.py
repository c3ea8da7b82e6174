"""What `curate build` and `curate convert` write, as the real loader and converter of llamafactory give it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from curate.cli import main
from tests.curate.trainer_rows import MEDIA, TALK, TOOLS, expected, facts, loaded

pytestmark = pytest.mark.trainer
SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize(
    ("shape", "name", "with_tools"),
    [
        ("sharegpt", "out.json", True),
        ("sharegpt", "out.jsonl", True),
        ("parquet", "out.parquet", True),
        ("openai", "out.jsonl", True),
        ("openai", "out.json", True),
        ("alpaca", "out.json", False),
        ("alpaca", "out.jsonl", False),
    ],
)
def test_a_converted_file_loads_as_it_was_meant(
    shape: str, name: str, with_tools: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(SAMPLES / "media", tmp_path / "media")
    rows = TALK + TOOLS * with_tools
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    assert main(["convert", str(tmp_path / "rows.json"), str(tmp_path / name), "--to", shape, "--strict"]) == 0
    _, _, entry = capsys.readouterr().out.partition("in dataset_info.json: ")
    (tmp_path / "dataset_info.json").write_text(json.dumps({"data": json.loads(entry)}))
    found = [facts(row, tmp_path) for row in loaded(tmp_path, "data")]
    wanted = [expected(row) for row in rows]
    if shape == "openai":  # the converter itself adds to the system prompt, and keeps arguments as text
        added = "detailed thinking off"
        wanted = [
            (turns, system if tools else "\n".join(filter(None, [str(system), added])), tools, media)
            for turns, system, tools, media in wanted
        ]
        call, *_ = [turn for turn in found[2][0] if turn[0] == "function"]  # type: ignore[attr-defined]
        assert [json.loads(item["arguments"]) for item in json.loads(call[1])] == [{"city": "Oslo"}, {"city": "Rome"}]
        found[2][0][1] = wanted[2][0][1]  # type: ignore[index]
    assert found == wanted


def test_a_build_of_all_formats_loads_as_it_was_meant(tmp_path: Path) -> None:
    shutil.copytree(SAMPLES, tmp_path / "samples")
    named = {
        "alpaca": "alpaca/alpaca.json",
        "arrow": "arrow",
        "datasets": "datasets",
        "label_studio": "label-studio/export.json",
        "minicpm": "minicpm/vl_finetune_data.json",
        "ms_swift": "ms-swift/data.jsonl",
        "openai": "openai/chat.jsonl",
        "parquet": "parquet",
        "qwen": "qwen/messages.jsonl",
        "sharegpt": "sharegpt/data.json",
        "subtitles": "subtitles",
        "webdataset": "webdataset",
    }
    sets = [{"name": name, "sources": [{"path": path}]} for name, path in named.items()]
    recipe = {"version": 1, "target": "out", "media": "store", "datasets": sets}
    (tmp_path / "samples" / "recipe.yaml").write_text(json.dumps(recipe))
    assert main(["build", str(tmp_path / "samples" / "recipe.yaml")]) == 0
    out = tmp_path / "samples" / "out"
    for name in named:
        rows = json.loads((out / f"{name}.json").read_text())
        assert [facts(row, out) for row in loaded(out, name)] == [expected(row) for row in rows] != []
        for row in rows:
            assert all((out / path).is_file() for kind in MEDIA for path in row.get(kind, []))
