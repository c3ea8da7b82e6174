"""Bad input ends in one clear message and the right exit code; never in a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scaffold import ROWS, Overlay

Project = Callable[[Overlay], Path]


def curate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as a user calls it, in the working folder."""
    return subprocess.run(
        [sys.executable, "-m", "curate.cli", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def row(question: str, **media: object) -> dict[str, object]:
    """A row of one pair."""
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "x"}], **media}


DATA = {
    "not JSON": ("{oops", 1, "FRM101", "not JSON"),
    "empty file": ("", 1, "FRM101", "the file is empty"),
    "a list of non-objects": ("[1, null, []]", 1, "FRM102", "a number"),
    "2 MiB of nesting": ("[" * (2 << 20), 1, "FRM101", "nested too deeply"),
    "missing columns": (json.dumps([{"id": 1}]), 1, "DSI003", "'messages' is in none of the 1 rows"),
    "an absolute path": (
        json.dumps([row("<image>?", images=["/etc/hostname"])]),
        1,
        "MED201",
        "outside the media root",
    ),
    "a path with ..": (json.dumps([row("<image>?", images=["../outside.jpg"])]), 1, "MED201", "outside the media root"),
    "zero-byte media": (json.dumps([row("<image>?", images=["empty.jpg"])]), 1, "IMG101", "the file is empty"),
    "truncated image": (json.dumps([row("<image>?", images=["cut.jpg"])]), 1, "IMG101", "truncated"),
    "truncated video": (json.dumps([row("<video>?", videos=["cut.mp4"])]), 1, "VID101", "cut.mp4"),
    "an mp4 of sound only": (json.dumps([row("<video>?", videos=["sound.mp4"])]), 1, "VID102", "no video stream"),
    "not UTF-8": ('[{"messages": "\udcff\udcfe"}]', 1, "FRM101", "not UTF-8"),
}
TRAIN = {
    "an unknown key": ("cutof_len: 4096", 1, "CFG101", "did you mean 'cutoff_len'?"),
    "a dataset that is not registered": ("dataset: dat", 1, "DSI001", "did you mean data?"),
}


@pytest.mark.parametrize("case", DATA)
def test_bad_data(case: str, project: Project) -> None:
    """A fault of the data is a finding with its rule's code and exit code 1."""
    text, code, rule, words = DATA[case]
    result = curate("check", str(project({"data.json": text})))
    assert result.returncode == code, result.stdout + result.stderr
    assert rule in result.stdout and words in result.stdout
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("case", TRAIN)
def test_bad_train_yaml(case: str, project: Project) -> None:
    """A fault of the settings is a finding that suggests the nearest name."""
    text, code, rule, words = TRAIN[case]
    result = curate("check", str(project({"train.yaml": text})))
    assert result.returncode == code and rule in result.stdout and words in result.stdout, result.stdout
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("dataset:\tdata\n\tcutoff_len: 1\n", "tab"),
        ("a: [1", "not YAML"),
        ("- a\n- b\n", "a YAML list"),
        ("", "a YAML NoneType"),
    ],
)
def test_unreadable_yaml_is_a_usage_fault(content: str, words: str, project: Project) -> None:
    """What is no yaml of settings ends with one message on stderr and exit code 2."""
    path = project({})
    path.write_text(content)
    result = curate("check", str(path))
    assert result.returncode == 2 and words in result.stderr and str(path) in result.stderr, result.stderr
    assert "Traceback" not in result.stderr and result.stdout == ""


@pytest.mark.parametrize("target", ["nowhere.json", "nowhere", "model", "cat.jpg"])
def test_unknown_targets(target: str, project: Project) -> None:
    """A target of no known kind is a usage fault, or a finding where only its name is wrong."""
    project({})
    result = curate("check", target)
    assert result.returncode in (1, 2) and "Traceback" not in result.stderr
    if result.returncode == 2:
        assert result.stderr.startswith("curate: error: ") and "expected" in result.stderr


def test_rows_before_a_broken_one_are_still_judged(project: Project) -> None:
    """Reading stops at the broken row; findings of the rows before it stand beside it."""
    text = json.dumps([row("<image>?"), ROWS[0]])[:-2] + ", oops]"
    result = curate("check", "data.json") if project({"data.json": text}) else None
    assert result is not None and "FRM101" in result.stdout


def test_special_files_are_never_opened(project: Project) -> None:
    """A device or a pipe named as a picture is no file to read."""
    import os

    yaml_file = project({"data.json": json.dumps([row("<image><image>?", images=["pipe.jpg", "/dev/zero"])])})
    os.mkfifo("pipe.jpg")
    result = curate("check", str(yaml_file))
    assert result.returncode == 1 and result.stdout.count("MED001") == 2, result.stdout


def test_half_of_a_surrogate_pair_within_a_call_is_a_finding(project: Project) -> None:
    r"""JSON within JSON can hold a text that no tokenizer takes: `\ud800`, escaped twice."""
    fixture = Path(__file__).parent / "rules/TRN102/bad"
    rows = json.loads((fixture / "data.json").read_text())
    rows[0]["messages"][1]["content"] = r'{"name": "weather", "arguments": {"place": "\ud800"}}'
    overlay = {"data.json": json.dumps(rows), "dataset_info.json": (fixture / "dataset_info.json").read_text()}
    result = curate("check", str(project(overlay)))
    assert result.returncode == 1, result.stdout + result.stderr
    assert "TRN102" in result.stdout and "surrogate pair" in result.stdout
