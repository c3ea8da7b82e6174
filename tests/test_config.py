"""Configuration: where it is found, what goes before what, and what a bad one says."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.cli import main
from tests.scaffold import ROWS, Overlay
from validators.config import BY_KEY, OPTIONS, Config, Kind, Level, config_of, find_config, schema
from validators.errors import UsageFault
from validators.globs import matches
from validators.limit import parse_limit
from validators.policy import Layer, level_in, policy_of

Project = Callable[[Overlay], Path]
DROPPED = {"messages": [{"role": "user", "content": "Hi"}]}  # TRN202
EMPTY = {"messages": []}  # TRN001
BOTH = json.dumps([*ROWS, DROPPED, EMPTY])


def codes(capsys: pytest.CaptureFixture[str], *arguments: str) -> set[str]:
    """The codes that a check reports."""
    main(["check", *arguments, "--output-format", "json"])
    return {finding["code"] for finding in json.loads(capsys.readouterr().out)["findings"]}


def test_the_nearest_file_upward_from_the_target_counts_alone(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pyproject.toml without the table is passed over, mmcurate.toml goes before one beside it, none are merged."""
    project({"deep/er/data.json": BOTH})
    target = "deep/er/data.json"
    assert codes(capsys, target) == {"TRN001", "TRN202"}
    Path("pyproject.toml").write_text('[tool.mmcurate]\nignore = ["TRN2"]\n')
    assert codes(capsys, target) == {"TRN001"}
    assert main(["check", target]) == 1 and "configuration: pyproject.toml\n" in capsys.readouterr().out
    Path("deep/pyproject.toml").write_text('[tool.other]\nx = 1\n[project]\nname = "x"\n')
    assert codes(capsys, target) == {"TRN001"}
    Path("deep/pyproject.toml").write_text('[tool.mmcurate]\nignore = ["TRN0"]\n')
    assert codes(capsys, target) == {"TRN202"}
    Path("deep/mmcurate.toml").write_text('select = ["TAG"]\n')
    assert codes(capsys, target) == set()
    assert codes(capsys, target, "--config", "pyproject.toml") == {"TRN001"}
    assert codes(capsys, target, "--isolated") == {"TRN001", "TRN202"}


def test_every_target_has_its_own_configuration(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Two targets of one command line are each judged by the file nearest to them."""
    project({"a/data.json": BOTH, "b/data.json": BOTH, "a/mmcurate.toml": 'ignore = ["ALL"]'})
    assert main(["check", "a/data.json"]) == 0
    assert main(["check", "a/data.json", "b/data.json"]) == 1
    capsys.readouterr()


@pytest.mark.parametrize(
    ("file", "line", "reported"),
    [
        (Layer(), Layer(), True),
        (Layer(ignore=("TAG",)), Layer(), False),
        (Layer(select=("TAG2",), ignore=("TAG",)), Layer(), True),
        (Layer(select=("TAG",), ignore=("TAG20",)), Layer(), False),
        (Layer(select=("TAG",), extend_select=("TAG201",), ignore=("TAG20",)), Layer(), True),
        (Layer(select=("TAG",), ignore=("TAG",)), Layer(), False),
        (Layer(select=("ALL",), ignore=("TAG",)), Layer(), False),
        (Layer(select=()), Layer(), False),
        (Layer(select=("IMG",)), Layer(), False),
        (Layer(select=("IMG",)), Layer(extend_select=("TAG",)), True),
        (Layer(ignore=("TAG201",)), Layer(extend_select=("TAG",)), True),
        (Layer(extend_ignore=("TAG201",)), Layer(select=("TAG",)), True),
        (Layer(select=("TAG201",)), Layer(ignore=("TAG",)), False),
        (Layer(select=("TAG201",)), Layer(select=("IMG",)), False),
        (Layer(severity=(("TAG", Level.OFF),)), Layer(), False),
        (Layer(severity=(("TAG", Level.OFF), ("TAG2", Level.NOTE))), Layer(), True),
        (Layer(severity=(("TAG201", Level.OFF),)), Layer(severity=(("TAG", Level.NOTE),)), True),
        (Layer(severity=(("TAG201", Level.OFF),)), Layer(select=("TAG",)), True),
        (Layer(severity=(("TAG201", Level.NOTE),)), Layer(severity=(("TAG", Level.OFF),)), False),
        (Layer(ignore=("TAG201",)), Layer(severity=(("TAG", Level.NOTE),)), False),
    ],
)
def test_the_longest_prefix_decides_and_the_command_line_goes_first(file: Layer, line: Layer, reported: bool) -> None:
    """Within one source length decides, ignore wins a tie, and the later source has the last word."""
    assert (level_in("TAG201", (file, line)) is not Level.OFF) is reported


def test_the_longest_prefix_gives_the_severity() -> None:
    """A code's own level goes before its family's, and the command line's before the file's."""
    file = Layer(severity=(("TAG", Level.NOTE), ("TAG201", Level.WARNING)))
    assert level_in("TAG201", (file, Layer())) is Level.WARNING
    assert level_in("TAG202", (file, Layer())) is Level.NOTE
    assert level_in("IMG101", (file, Layer())) is None
    assert level_in("TAG201", (file, Layer(severity=(("ALL", Level.ERROR),)))) is Level.ERROR


def test_ignore_on_the_command_line_takes_the_place_of_the_file_s() -> None:
    """`--ignore` replaces `ignore` and leaves `extend-ignore`; `--extend-ignore` adds to both."""
    config = Config(ignore=("TAG",), extend_ignore=("IMG",))
    replaced = policy_of(config, Layer(ignore=("VID",))).levels
    assert "TAG201" not in replaced and {replaced[code] for code in ("IMG101", "VID101")} == {Level.OFF}
    added = policy_of(config, Layer(extend_ignore=("VID",))).levels
    assert {added[code] for code in ("TAG201", "IMG101", "VID101")} == {Level.OFF}


def test_severity_decides_the_exit_code_and_nothing_else(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors made notes pass, notes made errors fail, and what is predicted stays the same byte for byte."""
    path = str(project({"data.json": BOTH}))
    predicted = []
    for arguments, code in (
        ([], 1),
        (["--severity", "TRN=warning"], 1),
        (["--severity", "TRN=note"], 0),
        (["--severity", "TRN=note", "--severity", "TRN202=error"], 1),
        (["--severity", "TRN=off"], 0),
        (["--ignore", "ALL"], 0),
        (["--select", "BUD"], 0),
    ):
        assert main(["check", path, *arguments, "--output-format", "json"]) == code, arguments
        value = json.loads(capsys.readouterr().out)
        predicted.append({key: value[key] for key in ("datasets", "rows_reaching_loss", "stops_before_first_step")})
    assert predicted == [predicted[0]] * len(predicted)


def test_what_is_not_reported_stops_the_run_all_the_same(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Ignoring the finding does not make the crash unpredicted."""
    picture = {"messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "A cat."}]}
    path = str(project({"data.json": json.dumps([*ROWS, picture | {"images": []}])}))
    assert main(["check", path, "--ignore", "ALL"]) == 0
    out = capsys.readouterr().out
    assert "would stop before the first step" in out and "1 crash-load" in out


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("data.json", "data.json", True),
        ("data.json", "deep/er/data.json", True),
        ("*.json", "deep/data.json", True),
        ("*.json", "deep/data.jsonl", False),
        ("deep", "deep/er/data.json", True),
        ("deep/", "deep/er/data.json", True),
        ("er", "deep/er/data.json", True),
        ("deep/*.json", "deep/data.json", True),
        ("deep/*.json", "deep/er/data.json", False),
        ("deep/**", "deep/er/data.json", True),
        ("deep/**/data.json", "deep/data.json", True),
        ("**/er/*.json", "deep/er/data.json", True),
        ("/data.json", "data.json", True),
        ("/data.json", "deep/data.json", False),
        ("d?ta.json", "data.json", True),
        ("d?ta.json", "d/ta.json", False),
        ("./deep/data.json", "deep/data.json", True),
        ("[x].json", "[x].json", True),
        ("data", "data.json", False),
    ],
)
def test_globs_match_as_they_read(glob: str, path: str, expected: bool) -> None:
    """`*` stays within a name, `**` goes over folders, no slash means any depth, a folder stands for its files."""
    assert matches(glob, path) is expected


def test_a_hostile_glob_takes_no_time() -> None:
    """Matching is linear in the path: thousands of stars do not hang."""
    assert not matches("*a" * 1000 + "b", "a" * 255)
    assert not matches("**/a/" * 500 + "b", "a/" * 500 + "c")


def test_paths_are_excused_from_the_codes_named_for_them(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Globs start from the configuration's folder, wherever the command runs and whatever is selected."""
    project({"old/a.json": BOTH, "new/b.json": BOTH, "mmcurate.toml": 'per-path-ignores = { "old/**" = ["TRN2"] }'})
    assert codes(capsys, "old/a.json") == {"TRN001"}
    assert codes(capsys, "old/a.json", "--select", "TRN202") == set()
    assert codes(capsys, "new/b.json") == {"TRN001", "TRN202"}
    assert codes(capsys, str(Path("old/a.json").absolute())) == {"TRN001"}


def test_defaults_yield_to_the_target_and_to_flags(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """template and cutoff-len hold where a train yaml says nothing; a flag goes before both."""
    path = str(project({"data.json": BOTH, "mmcurate.toml": 'template = "minicpm_v"\ncutoff-len = 77\n'}))

    def settings(*arguments: str) -> tuple[str, int]:
        main(["check", *arguments, "--output-format", "json"])
        value = json.loads(capsys.readouterr().out)
        return value["template"], value["cutoff_len"]

    assert settings(path) == ("qwen2_vl", 2048)
    assert settings("data.json") == ("minicpm_v", 77)
    assert settings("data.json", "--cutoff-len", "99", "--template", "qwen2_vl") == ("qwen2_vl", 99)


def test_configured_paths_start_from_the_file_s_folder(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """media-dir and tokenizer mean the same from any working folder."""
    picture = {"messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "A cat."}]}
    config = 'template = "qwen2_vl"\nmedia-dir = "media"\ntokenizer = "model"\n'
    project({"sub/data.json": json.dumps([picture | {"images": ["cat.jpg"]}]), "mmcurate.toml": config})
    Path("media").mkdir()
    Path("cat.jpg").rename("media/cat.jpg")
    assert codes(capsys, "sub/data.json") == set()
    monkeypatch.chdir("sub")
    assert codes(capsys, "data.json") == set()
    assert codes(capsys, "data.json", "--isolated", "--template", "qwen2_vl", "--tokenizer", "../model") == {"MED001"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("selct = []", ["unknown key 'selct'", "did you mean 'select'"]),
        ("extend_ignore = []", ["unknown key 'extend_ignore'", "did you mean 'extend-ignore'"]),
        ('select = "TAG"', ["select: 'TAG'", "a list of rule codes"]),
        ("select = [1]", ["select: [1]"]),
        ('select = ["TGA"]', ["select: rule 'TGA'", "no rule begins so", "did you mean 'TAG'"]),
        ('ignore = [""]', ["ignore: rule ''"]),
        ('severity = { TAG = "eror" }', ["severity.TAG: 'eror'", "did you mean 'error'"]),
        ('severity = { TGA = "error" }', ["severity: rule 'TGA'"]),
        ('severity = "error"', ["severity: 'error'", "a table"]),
        ('per-path-ignores = ["TAG"]', ["per-path-ignores: ['TAG']", "a table"]),
        ('per-path-ignores = { "x/*" = ["QQQ"] }', ["per-path-ignores.x/*: rule 'QQQ'"]),
        ("cutoff-len = 0", ["cutoff-len: 0", "at least 1"]),
        ("cutoff-len = true", ["cutoff-len: True"]),
        ("template = 3", ["template: 3", "text"]),
        ('tokenizer = " "', ["tokenizer: ' '"]),
        ("max-lost = 0.5", ["max-lost: 0.5", '"0.5%"']),
        ('max-lost = "101%"', ["max-lost: '101%'"]),
        ("max-lost = -1", ["max-lost: -1"]),
        ('baseline = "nowhere.json"', ["nowhere.json: cannot be read", "--write-baseline"]),
        ("select = [", ["not TOML"]),
        ("select = " + "[" * 5000, ["mmcurate.toml"]),
        ("cutoff-len = " + "9" * 5000, ["mmcurate.toml"]),
    ],
)
def test_a_bad_file_gives_one_message_and_exit_code_2(
    project: Project, capsys: pytest.CaptureFixture[str], text: str, words: list[str]
) -> None:
    """The message names the file, the key and what was expected; nothing is checked."""
    path = str(project({"mmcurate.toml": text}))
    assert main(["check", path]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("curate: error:") == 1 and "Traceback" not in err
    assert all(word in err for word in [*words, ".json" if "nowhere" in text else "mmcurate.toml"]), err
    assert main(["check", path, "--isolated"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--select", "TGA"], "--select: rule 'TGA'"),
        (["--extend-ignore", "XYZ1"], "--extend-ignore: rule 'XYZ1'"),
        (["--severity", "TAG"], "--severity TAG"),
        (["--severity", "TAG=loud"], "error | warning | note | off"),
        (["--severity", "TGA=off"], "--severity: rule 'TGA'"),
        (["--max-lost", "many"], "--max-lost: 'many'"),
        (["--max-lost", "1.5"], "--max-lost: '1.5'"),
        (["--config", "nowhere.toml"], "nowhere.toml: cannot be read"),
        (["--config", "pyproject.toml"], "no [tool.mmcurate]"),
    ],
)
def test_a_bad_flag_gives_one_message_and_exit_code_2(
    project: Project, capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    """The message names the flag."""
    path = str(project({"pyproject.toml": "[project]\n"}))
    assert main(["check", path, *arguments]) == 2
    assert word in capsys.readouterr().err


def test_config_and_isolated_exclude_each_other(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Both at once mean nothing."""
    with pytest.raises(SystemExit) as ended:
        main(["check", str(project({})), "--config", "mmcurate.toml", "--isolated"])
    assert ended.value.code == 2 and "not allowed with" in capsys.readouterr().err


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    """`tool.mmcurate = 1` is no table."""
    (tmp_path / "pyproject.toml").write_text("tool.mmcurate = 1\n")
    with pytest.raises(UsageFault, match="a table"):
        find_config(tmp_path)


def test_one_declaration_stands_behind_reader_schema_and_reference(root: Path) -> None:
    """Every option is a field of Config and a property of the schema, and its example is read as it is shown."""
    assert {field.name for field in dataclasses.fields(Config)} == {"file", *(key.replace("-", "_") for key in BY_KEY)}
    declared = schema()["properties"]
    assert isinstance(declared, dict) and set(declared) == set(BY_KEY)
    page = (root / "docs" / "config.md").read_text(encoding="utf-8")
    for option in OPTIONS:
        value = tomllib.loads(option.example)
        config = config_of(root / "mmcurate.toml", value)
        assert getattr(config, option.key.replace("-", "_")) is not None and option.example in page
        policy_of(config, Layer())
        assert fits(value[option.key], declared[option.key]), option.key


@pytest.mark.parametrize("value", [0, 7, "7", "0%", "0.5%", "0.5 %", "100%", "1.5", "x", "-1", "%", "1e3%"])
def test_the_schema_and_the_reader_agree_on_limits(value: object) -> None:
    """What the schema lets pass as a limit is read, and what it refuses is refused."""
    form = schema()["properties"]
    assert isinstance(form, dict)
    try:
        read = parse_limit(value, "x") is not None
    except UsageFault:
        read = False
    assert read is fits(value, form["max-lost"])


def fits(value: object, form: dict) -> bool:
    """The part of JSON Schema that ours is written in."""
    if "anyOf" in form:
        return any(fits(value, each) for each in form["anyOf"])
    if "enum" in form:
        return value in form["enum"]
    kind = {"array": list, "object": dict, "string": str, "integer": int, "number": (int, float)}[form["type"]]
    if not isinstance(value, kind) or isinstance(value, bool):
        return False
    if isinstance(value, str):
        return re.search(form.get("pattern", ""), value) is not None
    if isinstance(value, int | float):
        return form["minimum"] <= value <= form.get("maximum", value)
    if isinstance(value, list):
        return all(fits(item, form["items"]) for item in value)
    names = {"type": "string"} | form.get("propertyNames", {})
    known, other = form.get("properties", {}), form.get("additionalProperties")
    return all(
        fits(key, names) and (key in known or other is not False) and fits(item, known.get(key, other))
        for key, item in value.items()
    )


def test_every_kind_is_used() -> None:
    """No type is declared that no option has."""
    assert {option.kind for option in OPTIONS} == set(Kind)


VALUES = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["TAG", "error", "0.5%", "ALL"]),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(["TAG", "*", "x"]), each, max_size=2),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*BY_KEY, "other"]), VALUES, max_size=3))
def test_any_table_is_read_or_refused(raw: dict[str, object]) -> None:
    """Whatever TOML holds becomes a policy or one usage fault."""
    try:
        policy_of(config_of(Path("mmcurate.toml"), raw), Layer())
    except UsageFault as fault:
        assert str(fault).startswith("mmcurate.toml")
