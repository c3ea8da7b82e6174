"""The check as a whole: targets, summaries, formats, selection."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.cli import main
from tests.scaffold import ROWS, TAGS, Overlay
from validators.engine import CheckOptions, check
from validators.errors import UsageFault
from validators.findings import findings_schema, findings_table
from validators.policy import selection
from validators.rules.registry import RULES

Project = Callable[[Overlay], Path]
PICTURE = {
    "messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A dog."}],
    "images": ["dog.jpg"],
}
DROPPED = {"messages": [{"role": "user", "content": "Hi"}]}


def test_each_kind_of_target_reads_the_same_rows(project: Project) -> None:
    """A train yaml, a dataset_info.json with and without a name, a folder and the bare file see one dataset."""
    yaml_file = project({"data.json": json.dumps([*ROWS, DROPPED])})
    for target in (yaml_file, "dataset_info.json", "dataset_info.json:data", ".", "data.json"):
        report = check(target)
        assert (report.rows_in, report.rows_reaching) == (3, 2), target
        assert [item.code for item in report.findings] == ["TRN202"]


def test_a_bare_file_needs_no_dataset_info(project: Project) -> None:
    """Columns and tags of an unregistered file are taken from its rows."""
    project({})
    Path("other.jsonl").write_text("".join(json.dumps(item) + "\n" for item in [PICTURE, *ROWS]))
    Path("old.json").write_text(
        json.dumps([{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes."}]}])
    )
    assert check("other.jsonl").findings == () and check("old.json").findings == ()


def test_the_lowest_cutoff_is_exact(project: Project) -> None:
    """At the cutoff_len that the report names nothing is cut, and one below it something is."""
    rows = json.dumps([PICTURE, *ROWS])
    lowest = check(project({"data.json": rows})).lowest_cutoff
    assert lowest is not None
    assert check(project({"data.json": rows, "train.yaml": f"cutoff_len: {lowest}"})).findings == ()
    below = check(project({"data.json": rows, "train.yaml": f"cutoff_len: {lowest - 1}"}))
    assert [item.code for item in below.findings] == ["BUD201"]
    packed = check(project({"data.json": rows, "train.yaml": f"cutoff_len: {lowest}\npacking: true"}))
    assert packed.lowest_cutoff == lowest + 1 and packed.findings


def test_the_model_s_own_tokenizer_decides(project: Project) -> None:
    """Without a tokenizer the check says so, and `--tokenizer` brings it back; it goes before an embedded one."""
    path = project({"train.yaml": "model_name_or_path: Qwen/Qwen2-VL-2B"})
    assert {item.code for item in check(path).findings} == {"BUD003"}
    assert check(path, CheckOptions(tokenizer="model")).findings == ()
    path = project({"train.yaml": "model_name_or_path: org/model\ntemplate: minicpm_v"})
    assert {item.code for item in check(path).findings} == {"BUD001"}
    report = check(path, CheckOptions(tokenizer="model"))
    assert report.findings == () and report.datasets[0].counted == 2
    with pytest.raises(UsageFault, match="no tokenizer"):
        check(path, CheckOptions(tokenizer="nowhere"))


def test_max_samples_limits_what_is_read(project: Project) -> None:
    """Rows that the trainer would leave out are not judged."""
    report = check(project({"data.json": json.dumps([*ROWS, DROPPED]), "train.yaml": "max_samples: 2"}))
    assert report.rows_in == 2 and report.findings == ()


def test_media_dir_is_where_paths_start(project: Project) -> None:
    """media_dir of the yaml or of the command line moves the media root."""
    path = project({"data.json": json.dumps([PICTURE])})
    Path("pictures").mkdir()
    shutil.move("dog.jpg", "pictures/dog.jpg")
    assert {item.code for item in check(path).findings} == {"MED001"}
    assert check(path, CheckOptions(media_dir="pictures")).findings == ()


def test_each_batch_is_told_to_who_waits(project: Project) -> None:
    told: list[tuple[str, int]] = []
    rows = len(ROWS)
    options = CheckOptions(batch_rows=1, progress=lambda dataset, passed: told.append((dataset, passed)))
    check(project({}), options)
    assert told == [("data", number + 1) for number in range(rows)]


def test_select_and_ignore_take_codes_and_prefixes(project: Project) -> None:
    """The longest matching prefix decides; an unknown one is a usage fault."""
    path = project({"data.json": json.dumps([*ROWS, DROPPED, {"messages": []}])})
    assert {item.code for item in check(path).findings} == {"TRN202", "TRN001"}
    assert {item.code for item in check(path, CheckOptions(policy=selection(("TRN0",)))).findings} == {"TRN001"}
    assert check(path, CheckOptions(policy=selection(ignore=("TRN",)))).findings == ()
    assert {item.code for item in check(path, CheckOptions(policy=selection(("TRN",), ("TRN2",)))).findings} == {
        "TRN001"
    }
    with pytest.raises(UsageFault, match="no rule begins so"):
        check(path, CheckOptions(policy=selection(("XYZ",))))


def test_a_row_that_is_dropped_stops_nothing(project: Project) -> None:
    """A fault that would stop the run does not, in a row that the converter has left out before."""
    row = {"messages": [{"role": "user", "content": "<image><image>Hi"}], "images": ["nowhere.jpg"]}
    report = check(project({"data.json": json.dumps([*ROWS, row])}))
    assert {item.code for item in report.findings} == {"TRN202", "TAG201", "MED001"}
    assert report.rows_reaching == 2 and not report.stops
    answer = {"role": "assistant", "content": "Yes."}
    report = check(project({"data.json": json.dumps([*ROWS, row | {"messages": [*row["messages"], answer]}])}))
    assert report.rows_reaching == 2 and report.stops


def test_json_report_holds_what_the_text_says(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """One object with findings, outcomes and the lowest cutoff."""
    path = project({"data.json": json.dumps([*ROWS, DROPPED])})
    assert main(["check", str(path), "--output-format", "json"]) == 1
    value = json.loads(capsys.readouterr().out)
    assert value["rows_in"] == 3 and value["rows_reaching_loss"] == 2
    assert value["datasets"][0]["outcomes"] == {"trained": 2, "dropped": 1}
    assert value["findings"][0]["code"] == "TRN202" and value["findings"][0]["row"] == 2
    assert main(["check", str(path)]) == 1
    text = capsys.readouterr().out
    assert "data: 3 rows in → 2 reach the loss (1 dropped)" in text and "lowest cutoff_len" in text


def test_findings_make_an_arrow_table(project: Project) -> None:
    """The table has the declared schema."""
    table = findings_table(check(project({"data.json": json.dumps([*ROWS, DROPPED])})).findings)
    assert table.schema == findings_schema() and table.column("row").to_pylist() == [2]


def test_unrelated_json_is_passed_over_only_when_asked(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A package.json is no dataset; a broken file is never passed over."""
    project({})
    Path("package.json").write_text('{"name": "x"}')
    Path("broken.json").write_text('[{"messages": ')
    assert main(["check", "--skip-unrelated", "package.json"]) == 0
    assert main(["check", "package.json"]) == 1
    assert main(["check", "--skip-unrelated", "package.json", "broken.json"]) == 1
    capsys.readouterr()


def test_rules_and_explain(capsys: pytest.CaptureFixture[str]) -> None:
    """Every rule is listed, every page printed; an unknown code suggests the nearest."""
    assert main(["rules"]) == 0
    listed = capsys.readouterr().out
    for rule in RULES:
        assert rule.code in listed and main(["explain", rule.code]) == 0
        assert f"# {rule.name} ({rule.code})" in capsys.readouterr().out
    assert main(["explain", "TAG210"]) == 2
    assert "did you mean" in capsys.readouterr().err


def test_sharegpt_defaults_without_tags(project: Project) -> None:
    """An entry without tags means from/value, human/gpt (data/parser.py)."""
    data = json.dumps([{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes."}]}])
    info = json.dumps({"data": {"file_name": "data.json", "formatting": "sharegpt"}})
    assert check(project({"data.json": data, "dataset_info.json": info})).findings == ()
    assert TAGS["role_tag"] == "role"


def test_each_row_s_prediction_can_be_written(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """`--rows` gives a line a row; a place that cannot be written to is a usage fault."""
    path = project({"data.json": json.dumps([*ROWS, DROPPED])})
    assert main(["check", str(path), "--rows", "rows.jsonl"]) == 1
    lines = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    assert [line["outcome"] for line in lines] == ["trained", "trained", "dropped"]
    assert all(line["tokens"] > line["supervised_tokens"] > 0 for line in lines[:2]) and lines[2]["tokens"] is None
    assert main(["check", str(path), "--rows", "nowhere/rows.jsonl"]) == 2
    assert "nowhere" in capsys.readouterr().err and not Path("nowhere").exists()
