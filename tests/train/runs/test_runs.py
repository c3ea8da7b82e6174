"""`curate runs`: what is found below folders, what two runs have different, and what is drawn."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from curate.cli import main
from train.runs.compare import compare, shown_steps
from train.runs.plot import MOST_POINTS, Curve, plot, smoothed, thinned, ticks
from train.runs.read import read_run
from train.runs.words import curve

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"


def made(folder: Path, losses: list[float], settings: dict[str, object], **more: Any) -> Path:
    """An output folder as a finished run leaves it."""
    folder.mkdir(parents=True)
    lines = [{"current_steps": step, "total_steps": len(losses), "loss": loss} for step, loss in enumerate(losses, 1)]
    record = {
        "format": 1,
        "outcome": "finished",
        "started": "2026-01-01T00:00:00Z",
        "settings": {"values": settings, "overrides": []},
        "attempts": [{"started": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:10:00Z"}],
        "data": {"x": {"files": {"x.json": "aa"}, "rows": 3, "reaching": 3, "evaluates": False, "build": None}},
        "versions": {"torch": "2.11.0"},
    }
    (folder / "run.json").write_text(json.dumps(record | more))
    (folder / "trainer_log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.chdir(tmp_path)
    base: dict[str, object] = {"model_name_or_path": "m/base", "learning_rate": 0.1, "output_dir": "a", "seed": 1}
    other = {"x": {"files": {"moved.json": "bb"}, "rows": 4, "reaching": 3, "build": {"sha256": "c" * 64}}}
    one = made(Path("runs/a"), [3.0, 2.0, 1.0], base)
    changed = base | {"learning_rate": 0.2, "output_dir": "b", "lora_rank": 4}
    late = [{"started": "2026-02-01T00:00:00Z", "ended": "2026-02-01T02:30:00Z"}]
    more = {"y": {"files": {}}} | other
    return one, made(
        Path("runs/b"), [3.5, 2.5], changed, data=more, attempts=late, versions={"torch": "2.12.0"}, fault="CUDA out"
    )


def test_runs_are_listed_newest_first(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/plain").mkdir()
    Path("runs/plain/trainer_state.json").write_text('{"max_steps": 5, "log_history": [{"step": 5, "loss": 0.5}]}')
    checkpoint = Path("runs/a/checkpoint-3")
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").write_text("{}")
    Path("runs/.hidden").mkdir()
    (Path("runs/.hidden") / "run.json").write_text('{"format": 1}')
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:1]] == ["started"] and len(lines) == 4
    names = [next(word for word in line.split() if word.startswith("runs/")) for line in lines[1:]]
    assert names == ["runs/plain", "runs/b", "runs/a"]
    assert "no record" in lines[1] and "5/5" in lines[1] and "0.5" in lines[1]
    assert re.search(r"2026-02-01 00:00  finished +runs/b +base +sft lora 4 +y, x +2/2 +2.5 +2.5 h", lines[2])


def test_two_runs_are_compared(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "runs/a", "runs/b", "--output-format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {each["what"]: (each["a"], each["b"]) for each in found["settings"]} == {
        "learning_rate": (0.1, 0.2),
        "lora_rank": ("–", 4),
    }
    assert [each["what"] for each in found["data"]] == ["x: content", "x: rows", "x: evaluates", "x: build", "y"]
    assert found["circumstances"] == [{"what": "versions: torch", "a": "2.11.0", "b": "2.12.0"}]
    assert found["losses"] == [{"step": 1, "a": 3.0, "b": 3.5}, {"step": 2, "a": 2.0, "b": 2.5}]
    assert found["a"]["seconds"] == 600 and found["b"]["record"]["data"]["y"] == {"files": {}}
    assert main(["runs", "runs/a", "runs/b"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"fault +CUDA out", said) and re.search(r"learning_rate +0.1 +0.2\n", said)
    assert re.search(r"step 2 +2 +2.5 +\+0.5", said)


def test_files_of_the_same_content_are_the_same_data(two: tuple[Path, Path]) -> None:
    record = json.loads(Path("runs/b/run.json").read_text())
    same = {"files": {"elsewhere/x.json": "aa"}, "rows": 3, "reaching": 3, "evaluates": False, "build": None}
    Path("runs/b/run.json").write_text(json.dumps(record | {"data": {"x": same}}))
    a, b = read_run(Path("runs/a")), read_run(Path("runs/b"))
    assert a is not None and b is not None and compare(a, b).data == ()


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_draws_both_and_asks_for_nothing(two: tuple[Path, Path], tmp_path: Path) -> None:
    assert main(["runs", "runs/a", "runs/b", "--html", "out.html"]) == 0
    text = Path("out.html").read_text()
    page = Page(text)
    assert page.tags.count("polyline") == 2 and "script" not in page.tags
    assert not re.search(r"https?://|url\(|@import", text)
    assert not {name for name, _ in page.attributes} & {"src", "style", "onload"}
    (rules,) = [value for _, value in page.attributes if value and value.startswith("default-src")]
    assert rules.startswith("default-src 'none'") and "unsafe" not in rules
    assert "learning_rate" in page.text and "+0.5" in page.text
    points = [value for name, value in page.attributes if name == "points" and value]
    heights = [[float(pair.split(",")[1]) for pair in value.split()] for value in points]
    assert all(earlier < later for line in heights for earlier, later in pairwise(line)), "losses fall"


def test_hostile_names_and_values_do_nothing(
    two: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(Path("runs") / "<img src=x onerror=alert(1)>", [1.0, math.nan], {HOSTILE: HOSTILE}, outcome=HOSTILE)
    assert main(["runs"]) == 0
    assert main(["runs", "runs/a", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\u202e" not in said
    assert main(["runs", "runs/a", str(folder), "--html", "out.html"]) == 0
    page = Page(Path("out.html").read_text())
    assert "script" not in page.tags and "img" not in page.tags and "alert(1)" in page.text
    assert main(["runs", "--output-format", "json"]) == 0
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["runs"]


def test_no_run_and_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(tmp_path)]) == 1
    assert main(["runs", str(tmp_path / "gone")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_it_needs_no_torch(two: tuple[Path, Path]) -> None:
    code = (
        "import sys\nfor name in ('torch', 'transformers', 'llamafactory', 'matplotlib'): sys.modules[name] = None\n"
        "from curate.cli import main\nraise SystemExit(main(['runs', 'runs/a', 'runs/b', '--html', 'x.html']))"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_a_plot_keeps_spikes_and_bears_any_number() -> None:
    points = [(step, 100.0 if step == 5000 else 1.0) for step in range(20_000)]
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS and (5000, 100.0) in kept and list(kept) == sorted(kept)
    assert smoothed([(1, 4.0), (2, 4.0)]) == [(1, pytest.approx(4.0)), (2, pytest.approx(4.0))]
    assert "polyline" in plot([Curve("a", [(1, math.inf), (2, 1.0), (3, 2.0)], "curve-0")], "x")
    assert "circle" in plot([Curve("a", [(1, 0.0)], "curve-0")], "x")
    assert plot([Curve("a", [(1, math.nan)], "curve-0")], "x") == ""
    assert "polyline" in plot([Curve("a", [(0, -1e300), (10**15, 1e300)], "curve-0")], "x")


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (6.3, 6.44), (-3.0, 1e6), (1e-9, 2e-9)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 8 and all(low <= each <= high for each in found)


def test_a_curve_in_blocks() -> None:
    losses = read_losses_of([5.0, 4.0, 3.0, 2.0, 1.0])
    assert curve(losses) == "█▆▄▂▁" and len(curve(read_losses_of([1.0] * 1000))) == 24
    assert curve(read_losses_of([])) == "" and curve(read_losses_of([math.nan])) == ""


def read_losses_of(values: list[float]) -> Any:
    from train.runs.losses import Losses

    return Losses(tuple(enumerate(values, 1)))


def test_common_steps_are_spread() -> None:
    losses = tuple((step, 1.0, 2.0) for step in range(1, 101))
    shown = [step for step, _, _ in shown_steps(losses)]
    assert len(shown) == 8 and (shown[0], shown[-1]) == (1, 100)
