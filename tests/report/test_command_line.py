"""`curate check` with its formats, on real data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from curate.cli import main
from tests.report.sarif_shape import conform
from tests.scaffold import ROWS, Overlay
from validators.engine import check
from validators.report.formats import FORMATS

Project = Callable[[Overlay], Path]
DROPPED = {"messages": [{"role": "user", "content": "Hi"}]}
OTHERS = [
    {"messages": [{"role": "user", "content": f"Count to {n}."}, {"role": "assistant", "content": "No."}]}
    for n in (1, 2)
]
LINES = "\n".join(json.dumps(row) for row in [*ROWS, DROPPED, *OTHERS, DROPPED])


@pytest.fixture(autouse=True)
def no_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build server's own summary is not for tests to write to."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.mark.parametrize("name", [each.name for each in FORMATS])
def test_a_file_holds_what_the_terminal_would_show(
    name: str, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """`-o FILE` writes the same bytes, prints nothing, and keeps the exit code; `--exit-zero` makes that 0."""
    words = ["check", str(project({"data.json": LINES})), "--output-format", name]
    assert main(words) == 1
    shown = capsys.readouterr().out
    assert main([*words, "-o", "report.out", "--exit-zero"]) == 0
    assert capsys.readouterr().out == "" and Path("report.out").read_text("utf-8") == shown


def test_rows_of_json_lines_have_their_line(project: Project) -> None:
    """Row n of a file of JSON lines stands in line n + 1, in every batch; rows of an array may have none."""
    from validators.engine import CheckOptions

    path = project({"data.json": LINES})
    for batch_rows in (1, 2, 2048):
        places = [finding.place for finding in check(path, CheckOptions(batch_rows=batch_rows)).findings]
        assert [(place.row, place.line) for place in places] == [(2, 3), (5, 6)]


def test_lines_of_several_files_count_in_their_own_file(project: Project) -> None:
    """A dataset that is a folder: row and line are those of the file that is named."""
    path = project({"data.json": LINES})
    Path("parts").mkdir()
    Path("parts/a.jsonl").write_text(LINES)
    Path("parts/b.jsonl").write_text("\n" + LINES.replace(".", "!"))
    info = json.loads(Path("dataset_info.json").read_text())
    info["data"]["file_name"] = "parts"
    Path("dataset_info.json").write_text(json.dumps(info))
    places = [(Path(each.file).name, each.place.row, each.place.line) for each in check(path).findings]
    for file, row, line in places:
        assert json.loads(Path("parts", file).read_text().split("\n")[line - 1]) == DROPPED, (file, row, line)
    assert sorted(each[:2] for each in places) == [("a.jsonl", 2), ("a.jsonl", 5), ("b.jsonl", 2), ("b.jsonl", 5)]


def test_several_targets_share_one_document(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Two targets that see one file: both in json and junit; once where findings are annotations on files."""
    words = ["check", str(project({"data.json": LINES})), "dataset_info.json", "--output-format"]
    outputs = {}
    for each in FORMATS:
        assert main([*words, each.name]) == 1
        outputs[each.name] = capsys.readouterr().out
    assert [len(each["findings"]) for each in json.loads(outputs["json"])] == [2, 2]
    assert len(outputs["jsonl"].splitlines()) == 4 and outputs["markdown"].count("\n### curate check") == 1
    assert len(json.loads(outputs["gitlab"])) == 2 and outputs["github"].count("::error ") == 1
    names = [suite.get("name") for suite in ET.fromstring(outputs["junit"].encode()).iter("testsuite")]
    assert names == ["train.yaml: data", "dataset_info.json: data"]
    sarif = json.loads(outputs["sarif"])
    conform(sarif)
    assert [result["occurrenceCount"] for result in sarif["runs"][0]["results"]] == [2]


def test_the_step_summary_is_added_to(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a step has written before stays; what is added fits beside it, and only for format github."""
    path = str(project({"data.json": LINES}))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(Path("summary.md").resolve()))
    Path("summary.md").write_text("before\n")
    main(["check", path, "--output-format", "markdown"])
    markdown = capsys.readouterr().out
    assert Path("summary.md").read_text() == "before\n"
    main(["check", path, "--output-format", "github"])
    assert Path("summary.md").read_text() == "before\n" + markdown
    Path("summary.md").write_text("x" * ((1 << 20) - 200))
    main(["check", path, "--output-format", "github"])
    assert len(Path("summary.md").read_bytes()) <= 1 << 20
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "nowhere/summary.md")
    assert main(["check", path, "--output-format", "github"]) == 2


def test_statistics_take_the_place_of_the_list(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """The count, then the summary, as text or JSON; another format has no such form and is refused."""
    path = str(project({"data.json": LINES}))
    assert main(["check", path, "--statistics"]) == 1
    assert capsys.readouterr().out.startswith("2  TRN202  odd-message-count\n\ndata: 6 rows in → 4 reach the loss")
    assert main(["check", path, "--statistics", "--output-format", "json"]) == 1
    counted = json.loads(capsys.readouterr().out)
    assert main(["check", path, "--output-format", "json"]) == 1
    whole = json.loads(capsys.readouterr().out)
    assert counted.pop("statistics") == [{"code": "TRN202", "name": "odd-message-count", "count": 2}]
    assert len(whole.pop("findings")) == 2 and counted == whole
    assert main(["check", path, path, "--statistics", "--output-format", "json"]) == 1
    assert [each["errors"] for each in json.loads(capsys.readouterr().out)] == [2, 2]
    assert main(["check", path, "--statistics", "--output-format", "sarif"]) == 2


def test_the_output_file_is_never_what_is_checked_and_devices_stay(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """A target is not overwritten, a link stays one, a device is written to, a missing folder is a usage fault."""
    path = str(project({"data.json": LINES}))
    before = Path(path).read_bytes()
    assert main(["check", path, "-o", f"./{path}"]) == 2 and Path(path).read_bytes() == before
    assert main(["check", path, "-o", "nowhere/report.txt"]) == 2
    Path("link.txt").symlink_to("real.txt")
    assert main(["check", path, "-o", "link.txt"]) == 1
    assert Path("link.txt").is_symlink() and "Found 2 errors." in Path("real.txt").read_text()
    assert main(["check", path, "-o", "/dev/null"]) == 1 and Path("/dev/null").is_char_device()
    assert not list(Path().glob(".*.part"))
    capsys.readouterr()
