"""How deep a check reads, and the numbers from which its rules speak."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.cli import main
from tests.scaffold import Overlay
from validators.engine import CheckOptions, check
from validators.rules.registry import RULES
from validators.rules.rule import Depth
from validators.thresholds import FIELDS, Thresholds, default_of, thresholds_of

Project = Callable[[Overlay], Path]
ROW = {"messages": [{"role": "user", "content": "<image>Hi"}, {"role": "assistant", "content": "Hello."}]}
BOTH = json.dumps([ROW | {"images": ["gone.jpg"]}, ROW | {"images": []}])


def test_shape_opens_no_medium_and_counts_no_token(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the data alone show is found; a file that is not there is not even looked for."""
    train = project({"data.json": BOTH})
    whole = {finding.code for finding in check(train).findings}
    assert {"MED001", "TAG201"} <= whole
    monkeypatch.setattr("validators.probes.cache.locate", pytest.fail)
    report = check(train, CheckOptions(depth=Depth.SHAPE))
    assert {finding.code for finding in report.findings} == {"TAG201"}
    assert [dataset.counted for dataset in report.datasets] == [0]


def test_a_shallower_check_finds_no_more(project: Project) -> None:
    """Every rule says how deep it reads, and runs from there on."""
    train = project({"data.json": BOTH})
    found = {depth: {finding.code for finding in check(train, CheckOptions(depth=depth)).findings} for depth in Depth}
    assert found[Depth.SHAPE] <= found[Depth.HEADER] <= found[Depth.DECODE]
    needs = {rule.code: rule.depth.rank for rule in RULES}
    assert all(needs[code] <= depth.rank for depth, codes in found.items() for code in codes)


def test_the_report_says_that_only_the_shape_was_read(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows in = rows out is no promise when no file was opened."""
    train = str(project({"data.json": json.dumps([ROW | {"images": ["gone.jpg"]}])}))
    assert main(["check", train, "--depth", "shape"]) == 0
    assert "--depth shape" in capsys.readouterr().out
    assert main(["check", train, "--depth", "shape", "--output-format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["depth"] == "shape"


def test_thresholds_come_from_the_file_and_the_command_line_goes_first() -> None:
    """Each name has its default until one is written, and the last one written counts."""
    name = next(iter(FIELDS))
    item = FIELDS[name]
    assert getattr(Thresholds(), item.name) == default_of(item)
    least = item.metadata["least"]
    assert getattr(thresholds_of([(name, least, "file"), (name, least + 1, "line")]), item.name) == least + 1


@pytest.mark.parametrize("word", ["min-image-size=3", "min-image-side=", "min-image-side=x", "min-image-side=nan", "x"])
def test_a_wrong_threshold_is_a_usage_error(word: str, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """It names what was written, and the nearest name."""
    assert main(["check", str(project({})), "--threshold", word]) == 2
    said = capsys.readouterr().err
    assert f"--threshold {word}" in said
    assert "min-image-side" in said or "a number from" in said


def test_a_wrong_threshold_in_the_file_names_file_and_key(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """As any other option does."""
    train = project({"mmcurate.toml": "thresholds = { min-image-side = -1 }"})
    assert main(["check", str(train)]) == 2
    assert "mmcurate.toml: thresholds.min-image-side" in capsys.readouterr().err


def test_a_shallow_check_calls_no_deeper_finding_stale(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """What was not looked for has not gone from the data."""
    train = str(project({"data.json": BOTH}))
    assert main(["check", train, "--write-baseline", "known.json"]) == 0
    capsys.readouterr()
    assert main(["check", train, "--baseline", "known.json", "--depth", "shape"]) == 0
    assert "stale" not in capsys.readouterr().out


def test_predictions_without_media_are_not_verified(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """The trainer reads media: a comparison would only show that we did not."""
    assert main(["check", str(project({})), "--depth", "shape", "--verify-with-trainer", "1"]) == 2
    assert "--depth header" in capsys.readouterr().err
