"""What mending does to files: bytes that stay, backups, quarantine, diffs, and what it refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

import validators.sources.rows as reading
from curate.cli import main
from curate.fixes import rewrite as rewriting
from curate.fixes.diff import unified
from curate.fixes.json_rows import text_rows
from curate.fixes.rewrite import rewrite
from tests.curate.fixes.mended import mended
from tests.rules.test_laws import Project, json_values
from tests.scaffold import TAGS, lay_out
from validators.engine import check

BAD = '{"messages": [{"role":"bot", "content" : "<image>\\u00e9?"},{"role": "assistant", "content": "x"}],"n": 1.50}'
GOOD = '{"messages":[{"role": "user","content": "\\/"}, {"role": "assistant", "content": "A  cat\\u002e"}], "n":1e2 }'
ODD = {"role": "human", "content": "Good day"}
YES = {"role": "assistant", "content": "Yes."}
HI = {"role": "user", "content": "Hi"}
HEY = {"role": "user", "content": "Hey"}
LAYOUTS = {
    "lines": ("", "\n", "\n"),
    "lines, no end": ("", "\n", ""),
    "CRLF lines": ("", "\r\n", "\r\n"),
    "BOM lines": ("\ufeff", "\n", "\n"),
    "blank lines": ("\n", "\n\n", "\n\n"),
    "array": ("[", ",", "]"),
    "odd array": (" [\r\n\t", "\r\n\t ,  ", "\n] \n\n"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_all_but_the_changed_values_keep_their_bytes(
    layout: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_CHARS", chunk)
    monkeypatch.setattr(rewriting, "LOT_ROWS", 2)
    opening, between, end = LAYOUTS[layout]
    rows = [GOOD, BAD, GOOD, BAD, BAD, GOOD]
    source, target = tmp_path / "a.json", tmp_path / "b.json"
    source.write_bytes((opening + between.join(rows) + end).encode())
    assert "".join(piece.before + piece.text for piece in text_rows(source)).encode() == source.read_bytes()

    def change(lot: list[reading.RawRow]) -> dict[int, object]:
        return {row.row: {**row.value, "n": [row.value["n"]]} for row in lot}  # type: ignore[dict-item,index]

    done = rewrite(source, target, lambda row: row.row % 2 == 1, change)  # type: ignore[arg-type]
    assert not done.refused and done.rows == len(rows)
    parts = [row.partition('"n"') for row in rows]
    new = [end.replace("1.50", "[1.50]").replace("1e2", "[1e2]") for _, _, end in parts]
    wanted = ["".join((*parts[number][:2], new[number])) if number % 2 else row for number, row in enumerate(rows)]
    assert target.read_bytes() == (opening + between.join(wanted) + end).encode()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("gone", [{0}, {1}, {3}, {0, 1}, {2, 3}, {0, 3}, {1, 2, 3}])
def test_rows_that_go_take_one_separator_with_them(layout: str, gone: set[int], tmp_path: Path) -> None:
    opening, between, end = LAYOUTS[layout]
    rows = [GOOD, BAD, GOOD.replace("cat", "dog"), BAD.replace("x", "y")]
    source, target = tmp_path / "a.json", tmp_path / "b.json"
    source.write_bytes((opening + between.join(rows) + end).encode())
    taken: list[str] = []
    kept = rewriting.without(source, target, gone, lambda piece: taken.append(piece.text))
    stay = [row for number, row in enumerate(rows) if number not in gone]
    assert target.read_bytes() == (opening + between.join(stay) + end).encode()
    assert kept == len(stay) and taken == [rows[number] for number in sorted(gone)]


@pytest.fixture
def target(project: Project) -> Path:
    """One row that is safely mended, one that only a guess mends, one that nothing mends, one sound row."""
    rows = [
        {"messages": [ODD, YES]},
        {"messages": [HEY, YES, HI]},
        {"messages": []},
        {"messages": [HI, YES]},
    ]
    return project({"data.json": "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"})


def test_a_backup_is_kept_and_never_overwritten(target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = Path("data.json")
    original = data.read_bytes()
    data.chmod(0o640)
    assert main(["fix", str(target)]) == 1
    first = data.read_bytes()
    assert first != original and Path("data.json.bak").read_bytes() == original
    assert main(["fix", str(target), "--unsafe-fixes"]) == 1
    assert Path("data.json.bak").read_bytes() == original and Path("data.json.bak1").read_bytes() == first
    assert data.stat().st_mode & 0o777 == 0o640
    said = capsys.readouterr().out
    assert "data.json  row 0  TRN101 fixed (safe): roles: 'human' made 'user'" in said
    assert "Fixed 1 finding (1 more with --unsafe-fixes)." in said
    assert not list(Path().glob(".curate-fix-*"))


def test_in_place_keeps_none(target: Path) -> None:
    main(["fix", str(target), "--in-place"])
    assert not Path("data.json.bak").exists() and b"human" not in Path("data.json").read_bytes()


def test_nothing_to_mend_writes_nothing(project: Project) -> None:
    target = project({})
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    assert main(["fix", str(target)]) == 0
    assert before == {path: path.stat().st_mtime_ns for path in Path().rglob("*")}


def test_diff_writes_nothing_and_patch_takes_it(target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert main(["fix", str(target), "--diff", "--unsafe-fixes"]) == 1
    diff = capsys.readouterr().out
    assert before == {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    Path("a.diff").write_text(diff, encoding="utf-8")
    main(["fix", str(target), "--unsafe-fixes"])
    subprocess.run(["patch", "-o", "patched", "data.json.bak", "a.diff"], check=True, capture_output=True)
    assert Path("patched").read_bytes() == Path("data.json").read_bytes()
    capsys.readouterr()
    assert main(["check", str(target), "--diff"]) == 0 and capsys.readouterr().out == ""


def test_quarantine_takes_what_is_lost_and_loses_nothing(target: Path) -> None:
    before = json.loads(Path("data.json").read_text())
    assert main(["fix", str(target), "--quarantine"]) == 0
    moved = [json.loads(line) for line in Path("data.quarantine.jsonl").read_text().splitlines()]
    assert [(item["row"], item["reasons"][0]["code"]) for item in moved] == [(1, "TRN202"), (2, "TRN001")]
    assert moved[0]["reasons"][0]["outcome"] == "dropped" and moved[0]["reasons"][0]["found"] == "3 turns"
    assert moved[0]["value"] == before[1]
    assert len(json.loads(Path("data.json").read_text())) == 2
    assert check(target).findings == ()


def test_a_quarantine_file_is_added_to(target: Path) -> None:
    Path("data.quarantine.jsonl").write_text('{"row": 9}')
    main(["fix", str(target), "--quarantine"])
    lines = Path("data.quarantine.jsonl").read_text().splitlines()
    assert len(lines) == 3 and json.loads(lines[0]) == {"row": 9}


def test_quarantine_never_empties_a_dataset(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    target = project({"data.json": json.dumps([{"messages": []}])})
    assert main(["fix", str(target), "--quarantine"]) == 1
    assert "no row is moved: none would be left" in capsys.readouterr().out
    assert not Path("data.quarantine.jsonl").exists()


def test_ignored_rules_are_neither_mended_nor_a_reason_for_quarantine(target: Path) -> None:
    before = Path("data.json").read_bytes()
    assert main(["fix", str(target), "--quarantine", "--select", "TAG"]) == 0
    assert Path("data.json").read_bytes() == before


def test_what_is_made_for_a_folder_lies_beside_it(project: Project) -> None:
    """Everything in a folder of data counts as data: a backup inside would stop the trainer."""
    entry = {"file_name": "parts", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": TAGS}
    target = project(
        {
            "parts/a.json": json.dumps([{"messages": [ODD, YES]}, {"messages": []}, {"messages": [HI, YES]}]),
            "dataset_info.json": json.dumps({"data": entry}),
        }
    )
    assert main(["fix", str(target), "--quarantine"]) == 0
    assert [path.name for path in Path("parts").iterdir()] == ["a.json"]
    assert Path("parts.a.json.bak").is_file() and Path("parts.a.quarantine.jsonl").is_file()
    assert check(target).findings == ()


def test_a_links_target_is_replaced(project: Project) -> None:
    target = project({"real.json": json.dumps([{"messages": [ODD, YES]}, {"messages": [HI, YES]}])})
    Path("store").mkdir()
    Path("real.json").rename("store/real.json")
    Path("data.json").unlink()
    Path("data.json").symlink_to("store/real.json")
    assert main(["fix", str(target)]) == 0
    assert Path("data.json").is_symlink() and "human" not in Path("store/real.json").read_text()
    assert Path("store/real.json.bak").is_file()


def test_other_file_types_are_named_and_left(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    entry = {"file_name": "data.parquet", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": TAGS}
    target = project({"dataset_info.json": json.dumps({"data": entry})})
    pq.write_table(pa.Table.from_pylist([{"messages": [ODD, YES]}, {"messages": [HI, YES]}]), "data.parquet")
    before = Path("data.parquet").read_bytes()
    assert main(["fix", str(target)]) == 1
    assert "data.parquet is not rewritten, only .json and .jsonl are" in capsys.readouterr().out
    assert Path("data.parquet").read_bytes() == before


def test_a_file_that_breaks_off_is_left(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    text = json.dumps([{"messages": [ODD, YES]}, {"messages": [HI, YES]}])[:-1]
    target = project({"data.json": text})
    assert main(["fix", str(target), "--quarantine"]) == 1
    assert "cannot be read to its end" in capsys.readouterr().out
    assert Path("data.json").read_text() == text


def test_a_file_that_someone_else_changes_meanwhile_is_left(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from curate.fixes import engine

    real = engine.mend_rows

    def slow(session: object) -> None:
        real(session)  # type: ignore[arg-type]
        with Path("data.json").open("a") as file:
            file.write(" \n")

    monkeypatch.setattr(engine, "mend_rows", slow)
    assert main(["fix", str(target)]) == 2
    assert "human" in Path("data.json").read_text() and not Path("data.json.bak").exists()


def test_check_fix_reports_what_is_left_on_stdout_alone(target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(target), "--fix", "--unsafe-fixes", "--output-format", "json"]) == 1
    said = capsys.readouterr()
    assert {item["code"] for item in json.loads(said.out)["findings"]} == {"TRN001"}
    assert "Fixed 2 findings." in said.err and Path("data.json.bak").is_file()


def test_unsafe_fixes_alone_is_refused(target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(target), "--unsafe-fixes"]) == 2
    assert "--fix or --diff" in capsys.readouterr().err


def test_a_bare_file_without_an_entry_is_mended(tmp_path: Path) -> None:
    data = tmp_path / "x.jsonl"
    data.write_text(json.dumps({"messages": [HI, YES]}) + "\n" + json.dumps({"messages": [ODD, YES]}) + "\n")
    assert main(["fix", str(data)]) == 0
    assert "human" not in data.read_text()


def test_a_build_is_left_to_its_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"file_name": "x.json", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": TAGS}
    (tmp_path / "x.json").write_text(json.dumps([{"messages": [HI, YES]}, {"messages": [ODD, YES]}]))
    (tmp_path / "dataset_info.json").write_text(json.dumps({"x": entry}))
    manifest = {"media_root": ".", "datasets": {"x": {}}, "files": {"x.json": {}, "dataset_info.json": {}}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert main(["fix", str(tmp_path)]) == 2
    assert "run `curate build` again" in capsys.readouterr().err
    assert "human" in (tmp_path / "x.json").read_text() and not list(tmp_path.glob(".curate*"))


def test_rows_that_are_no_objects_go_to_quarantine(project: Project) -> None:
    target = project({"data.json": json.dumps([{"messages": [HI, YES]}, 2, {"messages": [HEY, YES]}])})
    assert main(["fix", str(target), "--quarantine"]) == 0
    assert json.loads(Path("data.quarantine.jsonl").read_text())["value"] == 2
    assert check(target).findings == ()


def as_lines(count: int, changed: Callable[[int], bool]) -> str:
    return "".join(f"{number % 7} {'new' if changed(number) else 'old'}\n" for number in range(count))


@pytest.mark.parametrize("every", [1, 2, 5, 30, 1000])
def test_diffs_of_many_like_lines_are_taken_by_patch(every: int, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text(as_lines(3000, lambda number: False))
    new.write_text(as_lines(2990, lambda number: number % every == 0) + "end")
    (tmp_path / "a.diff").write_text("".join(unified(old, new, "old")))
    subprocess.run(["patch", "-o", "out", "old", "a.diff"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "out").read_bytes() == new.read_bytes()


def test_a_file_on_one_line_is_shown_by_rows(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"messages": [ODD if number == 700 else HI, YES]} for number in range(1000)]
    target = project({"data.json": json.dumps(rows)})
    assert main(["fix", str(target), "--diff"]) == 1
    said = capsys.readouterr().out
    assert "@@ -698,7 +698,7 @@" in said and said.count("\n") == 11


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=json_values)
def test_any_dataset_info_is_mended_or_is_one_usage_fault(value: object, project: Project) -> None:
    """Law 4, for mending dataset_info.json."""
    folder = Path.cwd() if Path("data.json").exists() else project({}).parent
    lay_out(folder, {"dataset_info.json": json.dumps({"data": value})})
    mended(folder / "train.yaml", unsafe=True)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=json_values)
def test_any_json_is_mended_without_an_exception_and_loses_no_row(rows: object, project: Project) -> None:
    """Law 4, for mending."""
    folder = Path.cwd() if Path("data.json").exists() else project({}).parent
    columns = {key: key for key in ("messages", "images", "videos", "audios", "system")}
    entry = {"file_name": "data.json", "formatting": "sharegpt", "columns": columns, "tags": TAGS}
    for left in folder.glob("data.quarantine.jsonl"):
        left.unlink()
    text = json.dumps(rows)
    lay_out(folder, {"data.json": text, "dataset_info.json": json.dumps({"data": entry})})
    result = mended(folder / "train.yaml", unsafe=True, quarantine=True)
    now = json.loads((folder / "data.json").read_text())
    if isinstance(rows, list):
        assert len(rows) == len(now) + len(result.moved)
    content = (folder / "data.json").read_bytes()
    mended(folder / "train.yaml", unsafe=True, quarantine=True)
    assert content == (folder / "data.json").read_bytes() or result.moved
