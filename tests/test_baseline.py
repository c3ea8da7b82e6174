"""Baseline and gate: what is known does not fail, what is new does, and a limit is exact."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.cli import main
from tests.scaffold import ROWS, TAGS, Overlay
from validators import baseline as known
from validators.limit import parse_limit

Project = Callable[[Overlay], Path]
Capture = pytest.CaptureFixture[str]
DROPPED = {"messages": [{"role": "user", "content": "Hi"}]}  # TRN202
OTHER = {"messages": [{"role": "user", "content": "Who?"}]}  # TRN202
EMPTY: dict[str, object] = {"messages": []}  # TRN001
CRASH = {"messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "A."}], "images": []}
FILE = "known.json"


def lay(rows: Sequence[object]) -> None:
    """Other rows in the same place."""
    Path("data.json").write_text(json.dumps(rows), encoding="utf-8")


def checked(capsys: Capture, *arguments: str, target: str = "data.json") -> tuple[int, dict]:
    """Exit code and JSON report of a check."""
    code = main(["check", target, *arguments, "--output-format", "json"])
    return code, json.loads(capsys.readouterr().out)


def written(project: Project, capsys: Capture, rows: Sequence[object]) -> None:
    """A baseline of these rows."""
    project({"data.json": json.dumps(rows)})
    code, report = checked(capsys, "--write-baseline", FILE)
    assert code == 0 and report["findings"] == [] and report["baseline"]["known"]


def test_what_is_known_does_not_fail(project: Project, capsys: Capture) -> None:
    """Writing a baseline ends with 0 and so does the next check; without it the findings are back."""
    written(project, capsys, [*ROWS, DROPPED, EMPTY])
    code, report = checked(capsys, "--baseline", FILE)
    assert (code, report["findings"], report["baseline"]) == (0, [], {"file": FILE, "known": 2, "stale": []})
    assert report["rows_reaching_loss"] == 2
    assert checked(capsys)[0] == 1


def test_rows_may_move(project: Project, capsys: Capture) -> None:
    """Reordering, insertion of sound rows, other layout and key order leave every finding known."""
    extra = {"messages": [{"role": "user", "content": "More"}, {"role": "assistant", "content": "Yes."}]}
    written(project, capsys, [*ROWS, DROPPED | {"note": None, "id": "7"}, EMPTY])
    other = {"messages": [{"role": "user", "content": "Still more"}, {"role": "assistant", "content": "Yes."}]}
    lay([EMPTY, extra, {"id": "7"} | DROPPED, *ROWS, other])
    code, report = checked(capsys, "--baseline", FILE)
    assert code == 0 and report["baseline"] == {"file": FILE, "known": 2, "stale": []}


def test_a_changed_row_is_new_again(project: Project, capsys: Capture) -> None:
    """Its old entry is stale, and the finding fails."""
    written(project, capsys, [*ROWS, DROPPED])
    lay([*ROWS, OTHER])
    code, report = checked(capsys, "--baseline", FILE)
    assert code == 1 and [(item["code"], item["row"]) for item in report["findings"]] == [("TRN202", 2)]
    assert len(report["baseline"]["stale"]) == 1


def test_one_more_of_a_known_row_is_new(project: Project, capsys: Capture) -> None:
    """A row that stands twice is known twice; the third fails, and of two that go one entry is stale."""
    written(project, capsys, [*ROWS, DROPPED, DROPPED])
    assert '"count": 2' in Path(FILE).read_text()
    lay([*ROWS, DROPPED, DROPPED, DROPPED])
    code, report = checked(capsys, "--baseline", FILE)
    assert code == 1 and [item["row"] for item in report["findings"]] == [4]
    lay([*ROWS, DROPPED])
    code, report = checked(capsys, "--baseline", FILE)
    assert code == 0 and len(report["baseline"]["stale"]) == 1


def test_stale_entries_are_named_and_do_not_fail(project: Project, capsys: Capture) -> None:
    """The summary says which entry has gone; writing again clears it."""
    written(project, capsys, [*ROWS, DROPPED, EMPTY])
    lay([*ROWS, EMPTY])
    assert main(["check", "data.json", "--baseline", FILE]) == 0
    out = capsys.readouterr().out
    assert f"baseline {FILE}: 1 known finding not shown; 1 of its entries is stale" in out
    assert out.count("stale, the finding is gone: data.json") == 1 and "TRN202" in out
    assert main(["check", "data.json", "--write-baseline", FILE]) == 0
    capsys.readouterr()
    assert checked(capsys, "--baseline", FILE)[1]["baseline"]["stale"] == []


def test_only_what_was_checked_can_be_stale(project: Project, capsys: Capture) -> None:
    """A baseline of two targets says nothing of the one that is not looked at."""
    project({"a/a.json": json.dumps([*ROWS, DROPPED]), "b/b.json": json.dumps([*ROWS, EMPTY])})
    assert main(["check", "a/a.json", "b/b.json", "--write-baseline", FILE]) == 0
    capsys.readouterr()
    for target in ("a/a.json", "b/b.json"):
        code, report = checked(capsys, "--baseline", FILE, target=target)
        assert code == 0 and report["baseline"] == {"file": FILE, "known": 1, "stale": []}


def test_what_is_not_reported_is_not_stale(project: Project, capsys: Capture) -> None:
    """Selecting other rules, excusing a path, or making notes of findings does not make their entries stale."""
    written(project, capsys, [*ROWS, DROPPED, EMPTY])
    Path("excused.toml").write_text('per-path-ignores = { "data.json" = ["TRN2"] }')
    for arguments, count in (
        (["--select", "TRN0"], 1),
        (["--ignore", "TRN2"], 1),
        (["--severity", "TRN2=note"], 1),
        (["--config", "excused.toml"], 1),
        (["--select", "TAG"], 0),
    ):
        code, report = checked(capsys, "--baseline", FILE, *arguments)
        assert code == 0 and report["baseline"] == {"file": FILE, "known": count, "stale": []}, arguments


def test_nothing_but_a_baseline_is_written_over(project: Project, capsys: Capture) -> None:
    """The data's own name is refused before anything is checked, and an empty file is not."""
    project({"data.json": json.dumps([*ROWS, DROPPED]), "blank.json": ""})
    before = Path("data.json").read_bytes()
    for name in ("data.json", "train.yaml", ".", "/dev/null"):
        assert main(["check", "data.json", "--write-baseline", name]) == 2
        assert "no baseline" in capsys.readouterr().err
    assert Path("data.json").read_bytes() == before
    assert checked(capsys, "--write-baseline", "blank.json")[0] == 0


def test_a_configuration_cannot_make_the_check_hang(project: Project, capsys: Capture) -> None:
    """A baseline that is a device or a pipe is refused, not read."""
    project({"mmcurate.toml": 'baseline = "/dev/zero"'})
    assert main(["check", "data.json"]) == 2
    assert "no regular file" in capsys.readouterr().err


def test_targets_over_the_same_rows_do_not_add_up(project: Project, capsys: Capture) -> None:
    """A row known through the yaml and through its file is known once."""
    project({"data.json": json.dumps([*ROWS, DROPPED])})
    assert main(["check", "train.yaml", "data.json", "--write-baseline", FILE]) == 0
    capsys.readouterr()
    assert checked(capsys, "--baseline", FILE, target="train.yaml")[0] == 0
    lay([*ROWS, DROPPED, DROPPED])
    code, report = checked(capsys, "--baseline", FILE, target="train.yaml")
    assert code == 1 and report["baseline"]["known"] == 1


def test_findings_without_a_row_are_known_by_their_words(project: Project, capsys: Capture) -> None:
    """A fault of the yaml is known; another of the same rule is new."""
    project({"train.yaml": "cutof_len: 9"})
    code, report = checked(capsys, target="train.yaml")
    assert code == 1 and all(item["row"] is None for item in report["findings"])
    assert checked(capsys, "--write-baseline", FILE, target="train.yaml")[0] == 0
    assert checked(capsys, "--baseline", FILE, target="train.yaml")[0] == 0
    text = Path("train.yaml").read_text()
    Path("train.yaml").write_text(text + "cutof_lem: 9\n")
    code, report = checked(capsys, "--baseline", FILE, target="train.yaml")
    assert code == 1 and len(report["findings"]) == 1
    Path("train.yaml").write_text(text.replace("cutof_len: 9\n", ""))
    code, report = checked(capsys, "--baseline", FILE, target="train.yaml")
    assert code == 0 and len(report["baseline"]["stale"]) == 1


def test_notes_are_not_kept(project: Project, capsys: Capture) -> None:
    """What does not fail needs no baseline, and is new when it is made an error."""
    project({"data.json": json.dumps([*ROWS, DROPPED, EMPTY])})
    checked(capsys, "--write-baseline", FILE, "--severity", "TRN0=note")
    assert [entry["code"] for entry in json.loads(Path(FILE).read_text())["entries"]] == ["TRN202"]
    code, report = checked(capsys, "--baseline", FILE)
    assert code == 1 and [item["code"] for item in report["findings"]] == ["TRN001"]


def test_the_file_is_sorted_and_has_an_entry_a_line(project: Project, capsys: Capture) -> None:
    """The same findings give the same bytes in whatever order the rows stand, and one more adds one line."""
    written(project, capsys, [*ROWS, DROPPED, EMPTY])
    first = Path(FILE).read_text()
    lay([EMPTY, DROPPED, *ROWS])
    assert checked(capsys, "--write-baseline", FILE)[0] == 0
    assert Path(FILE).read_text() == first
    lay([EMPTY, OTHER, DROPPED, *ROWS])
    checked(capsys, "--write-baseline", FILE)
    assert len(Path(FILE).read_text().splitlines()) == len(first.splitlines()) + 1
    lines = [line for line in first.splitlines() if '"code"' in line]
    assert lines == sorted(lines) and all(json.loads(line.rstrip(",")) for line in lines)


def test_a_configured_baseline_starts_from_its_folder(project: Project, capsys: Capture) -> None:
    """`baseline` in the file is used without a flag, and `--baseline` goes before it."""
    project({"sub/data.json": json.dumps([*ROWS, DROPPED]), "sub/mmcurate.toml": f'baseline = "{FILE}"'})
    assert checked(capsys, "--write-baseline", f"sub/{FILE}", target="sub/data.json")[0] == 0
    assert checked(capsys, target="sub/data.json")[1]["baseline"]["known"] == 1
    Path("none.json").write_text('{"version": 1, "entries": []}')
    assert checked(capsys, "--baseline", "none.json", target="sub/data.json")[0] == 1


def to_csv(path: Path, texts: Sequence[str]) -> None:
    """Alpaca rows with a number column that has holes when there is a fourth row."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["instruction", "output", "n"])
        table.writerows([text, "" if text == "bad" else "Yes.", "" if text == "hole" else "1"] for text in texts)


def to_parquet(path: Path, texts: Sequence[str]) -> None:
    """Conversations; a row named `hole` brings a column that the others lack."""
    rows = []
    for text in texts:
        turns = [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}]
        rows.append({"messages": turns[:1] if text == "bad" else turns} | ({"n": 1} if text == "hole" else {}))
    columns = {name: [row.get(name) for row in rows] for name in dict.fromkeys(key for row in rows for key in row)}
    pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize(("name", "write"), [("rows.csv", to_csv), ("rows.parquet", to_parquet)])
def test_rows_of_typed_files_may_move_too(
    project: Project, capsys: Capture, name: str, write: Callable[[Path, Sequence[str]], None]
) -> None:
    """A new row that changes the types of a column, or brings one, leaves the others known."""
    project({})
    write(Path(name), ["a", "bad", "b"])
    code, report = checked(capsys, target=name)
    assert code == 1 and [item["row"] for item in report["findings"] if item["severity"] != "note"] == [1]
    assert checked(capsys, "--write-baseline", FILE, target=name)[0] == 0
    assert all("row" in entry for entry in json.loads(Path(FILE).read_text())["entries"])
    write(Path(name), ["c", "hole", "a", "bad", "b"])
    assert checked(capsys, "--baseline", FILE, target=name)[0] == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda each: st.lists(each, max_size=3)
    | st.dictionaries(st.text(), each, max_size=3), max_leaves=8,
)  # fmt: skip


@given(JSON)
def test_any_value_has_a_fingerprint(value: object) -> None:
    """It is the same after a way through JSON."""
    assert known.fingerprint(value) == known.fingerprint(json.loads(json.dumps(value)))


def test_a_row_too_deep_to_hash_is_known_by_its_words(project: Project, capsys: Capture) -> None:
    """Nesting at the limit of the reader ends in no traceback."""
    project({"data.json": '[{"messages": [], "x": ' + "[" * 900 + "]" * 900 + "}]"})
    assert checked(capsys, "--write-baseline", FILE)[0] == 0
    assert checked(capsys, "--baseline", FILE)[0] == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[]",
        "{}",
        '{"version": 2, "entries": []}',
        '{"version": 1, "entries": {}}',
        '{"version": 1, "entries": [1]}',
        '{"version": 1, "entries": [{"code": "TRN202"}]}',
        '{"version": 1, "entries": [{"code": "TRN202", "target": "x", "count": 0}]}',
        '{"version": 1, "entries": [{"code": "TRN202", "target": "x", "row": 1}]}',
        '{"version": 1, "entries": [{"code": "TRN202", "target": "x", "line": "1"}]}',
        "[" * 100_000,
    ],
)
def test_a_file_that_is_no_baseline_is_refused(project: Project, capsys: Capture, text: str) -> None:
    """One message, exit code 2."""
    project({FILE: text})
    assert main(["check", "data.json", "--baseline", FILE]) == 2
    err = capsys.readouterr().err
    assert err.count("curate: error:") == 1 and FILE in err and "--write-baseline" in err


def test_a_baseline_that_cannot_be_written_is_a_usage_fault(project: Project, capsys: Capture) -> None:
    """One message, exit code 2."""
    project({})
    assert main(["check", "data.json", "--write-baseline", "nowhere/known.json"]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("limit", "code"),
    [("3", 0), ("2", 1), ("0", 1), ("37.5%", 0), ("37.49999%", 1), ("37.50001%", 0), ("100%", 0), ("0%", 1)],
)
def test_the_limit_is_exact(project: Project, capsys: Capture, limit: str, code: int) -> None:
    """3 of 8 rows are 37.5 %: as many may be lost as the limit says, and not one more."""
    project({"data.json": json.dumps([*ROWS, *ROWS, ROWS[0], DROPPED, EMPTY, OTHER])})
    assert main(["check", "data.json", "--max-lost", limit]) == code
    held = "more than" if code else "within"
    assert f"3 of 8 training rows lost (37.5 %): {held} max-lost {limit}\n" in capsys.readouterr().out
    _, report = checked(capsys, "--max-lost", limit)
    assert (report["max_lost_exceeded"], report["training_rows_lost"]) == (bool(code), 3)


@given(st.integers(0, 10**7), st.integers(1, 10**7), st.integers(0, 1000))
def test_no_share_is_rounded(lost: int, rows: int, tenths: int) -> None:
    """A limit in percent compares whole numbers."""
    limit = parse_limit(f"{tenths // 10}.{tenths % 10}%", "x")
    assert limit.exceeded(lost, rows) is (lost * 1000 > tenths * rows)


def test_a_run_that_would_stop_fails_under_any_limit(project: Project, capsys: Capture) -> None:
    """Even where the finding is ignored or known."""
    project({"data.json": json.dumps([*ROWS, CRASH])})
    assert main(["check", "train.yaml", "--max-lost", "100%"]) == 1
    assert main(["check", "train.yaml", "--max-lost", "100%", "--ignore", "ALL"]) == 1
    assert main(["check", "train.yaml", "--write-baseline", FILE]) == 0
    assert main(["check", "train.yaml", "--max-lost", "100%", "--baseline", FILE]) == 1
    capsys.readouterr()


def test_findings_within_the_limit_do_not_fail(project: Project, capsys: Capture) -> None:
    """Warnings and errors are shown; what counts is the rows."""
    rows = [{"messages": [{"role": "user", "content": "Hi " * 99}, {"role": "assistant", "content": "Yes. " * 99}]}]
    project({"data.json": json.dumps([*ROWS, *rows]), "train.yaml": "cutoff_len: 64"})
    assert main(["check", "train.yaml"]) == 1
    assert main(["check", "train.yaml", "--max-lost", "0"]) == 0
    assert "BUD201" in capsys.readouterr().out


def test_only_training_rows_count(project: Project, capsys: Capture) -> None:
    """Rows of eval_dataset are not lost to training; all training datasets count together."""
    entry = {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": TAGS}
    info = {name: entry | {"file_name": f"{name}.json"} for name in ("data", "more", "held")}
    overlay = {
        "data.json": json.dumps([*ROWS, DROPPED]),
        "more.json": json.dumps(ROWS * 3),
        "held.json": json.dumps([*ROWS, DROPPED, DROPPED]),
        "dataset_info.json": json.dumps(info),
        "train.yaml": "dataset: data,more\neval_dataset: held\ndo_eval: true",
    }
    project(overlay)
    _, report = checked(capsys, "--max-lost", "1", target="train.yaml")
    assert (report["training_rows_lost"], report["max_lost_exceeded"]) == (1, False)
    assert main(["check", "train.yaml", "--max-lost", "1"]) == 0
    assert "1 of 9 training rows lost (11.11 %)" in capsys.readouterr().out
    assert main(["check", "train.yaml", "--max-lost", "0", "--output-format", "markdown"]) == 1
    assert "- `1 of 9 training rows lost (11.11 %): more than max-lost 0`" in capsys.readouterr().out


def test_the_verdict_does_not_praise_what_fails(project: Project, capsys: Capture) -> None:
    """Where nothing is reported, the last line still says why the exit code is 1."""
    project({"data.json": json.dumps([*ROWS, DROPPED])})
    assert main(["check", "data.json", "--ignore", "ALL", "--max-lost", "0"]) == 1
    assert capsys.readouterr().out.endswith("but too many rows are lost.\n")
    lay([*ROWS, CRASH])
    assert main(["check", "data.json", "--ignore", "ALL", "--template", "qwen2_vl", "--max-lost", "9"]) == 1
    assert capsys.readouterr().out.endswith("but the run would stop.\n")


def test_a_configured_limit_holds_and_the_flag_goes_first(project: Project, capsys: Capture) -> None:
    """max-lost in the file is the gate; a flag, 0 included, replaces it."""
    project({"data.json": json.dumps([*ROWS, DROPPED]), "mmcurate.toml": 'max-lost = "50%"'})
    assert main(["check", "data.json"]) == 0
    assert main(["check", "data.json", "--max-lost", "0"]) == 1
    assert main(["check", "data.json", "--isolated"]) == 1
    capsys.readouterr()
