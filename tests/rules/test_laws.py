"""The laws that every rule keeps; see DESIGN: a rule."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.scaffold import ROWS, Overlay, blocks_of, lay_out
from validators.engine import CheckOptions, check
from validators.errors import UsageFault
from validators.llamafactory.environment import store
from validators.probes import decoder, installed
from validators.report.model import Report
from validators.rules import environment
from validators.rules.registry import FAMILIES, RULES
from validators.rules.rule import Depth, Rule

HERE = Path(__file__).parent
WHOLE = CheckOptions(depth=Depth.DECODE)
"""All rules."""
HEADINGS = ["What it finds", "Why it matters", "Bad", "Good", "Fix"]
Project = Callable[[Overlay], Path]
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)


def fixture_of(code: str, side: str) -> dict[str, str]:
    """A fixture folder as an overlay."""
    folder = HERE / code / side
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in files}


def set_environment(overlay: Overlay, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an `environment` file says is installed: `torchaudio 2.11.0, no libavutil, a GPU`; its sources lie here.

    No locked environment is made.
    """
    words = [part.strip() for part in overlay.get("environment", "").split(",") if part.strip()]
    versions = dict(word.split(" ") for word in words if not word.startswith(("no ", "libavutil", "a GPU")))
    monkeypatch.setattr(installed, "version_of", versions.get)
    monkeypatch.setattr(installed, "folder_of", lambda name: Path.cwd() if name in versions else None)
    monkeypatch.setattr(environment, "accelerators", lambda: int("a GPU" in words))
    monkeypatch.setattr(store, "folder_of_environments", lambda: Path("environments"))
    monkeypatch.setattr(decoder, "has_libavutil", lambda: any(word.startswith("libavutil") for word in words))


def codes(report: Report) -> set[str]:
    """The codes of a report's findings."""
    return {finding.code for finding in report.findings}


def test_codes_fixtures_and_registry_are_one_set() -> None:
    """Law 1: a code without its fixture folder, or a folder without its rule, is an omission."""
    assert [rule.code for rule in RULES] == sorted({rule.code for rule in RULES})
    assert {path.name for path in HERE.iterdir() if re.fullmatch(r"[A-Z]{3}\d{3}", path.name)} == {
        rule.code for rule in RULES
    }


def test_every_family_has_its_title() -> None:
    """The index groups rules by the letters of their codes."""
    assert sorted(FAMILIES) == list(FAMILIES) == sorted({rule.code[:3] for rule in RULES})


@each_rule
def test_page_has_its_headings_and_a_first_line(rule: Rule) -> None:
    """Law 1: each page tells the same things in the same order."""
    assert re.findall(r"^## (.+)$", rule.page, flags=re.MULTILINE) == HEADINGS
    assert rule.page.splitlines()[0].endswith(".")


@each_rule
def test_name_reads_well_after_allow(rule: Rule) -> None:
    """A name is kebab-case and names the bad pattern, not a command."""
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    assert not rule.name.startswith(("no-no-", "check-", "disallow-", "avoid-", "use-"))


@pytest.mark.parametrize("source", ["page", "fixture"])
@each_rule
def test_bad_fires_its_code(rule: Rule, source: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law 2: the bad example has the fault that the rule is about."""
    overlay = blocks_of(rule.page, "Bad") if source == "page" else fixture_of(rule.code, "bad")
    set_environment(overlay, monkeypatch)
    report = check(project(overlay), WHOLE)
    assert rule.code in codes(report), report.findings


@pytest.mark.parametrize("source", ["page", "fixture"])
@each_rule
def test_good_fires_nothing(rule: Rule, source: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law 2: the good example is clean under all rules."""
    overlay = blocks_of(rule.page, "Good") if source == "page" else fixture_of(rule.code, "good")
    set_environment(overlay, monkeypatch)
    assert check(project(overlay), WHOLE).findings == ()


@each_rule
def test_findings_say_what_was_found_and_where(rule: Rule, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finding names a file and what was found; one of a row rule names the row."""
    overlay = fixture_of(rule.code, "bad")
    set_environment(overlay, monkeypatch)
    for finding in check(project(overlay), WHOLE).findings:
        assert finding.file and finding.found, finding
        if finding.code == rule.code and rule.scope in ("row", "media"):
            assert finding.place.row is not None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["messages", "images", "videos", "audios", "system", "role", "content", "from", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=json_values)
def test_any_json_gives_findings_not_exceptions(value: object, project: Project) -> None:
    """Law 4, for the data file."""
    folder = Path.cwd() if Path("data.json").exists() else project({}).parent
    entry = {"file_name": "data.json", "formatting": "sharegpt"}
    columns = {key: key for key in ("messages", "images", "videos", "audios")}
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    lay_out(
        folder,
        {
            "data.json": json.dumps(value),
            "dataset_info.json": json.dumps({"data": entry | {"columns": columns, "tags": tags}}),
        },
    )
    report = check(folder / "train.yaml")
    assert report.rows_in >= report.rows_reaching
    check(folder / "data.json")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=json_values)
def test_any_dataset_info_gives_findings_or_one_usage_fault(value: object, project: Project) -> None:
    """Law 4, for dataset_info.json: what is no object at all is a fault of configuration."""
    folder = Path.cwd() if Path("data.json").exists() else project({}).parent
    lay_out(folder, {"dataset_info.json": json.dumps({"data": value}) if random.random() < 0.9 else json.dumps(value)})
    try:
        check(folder / "train.yaml")
    except UsageFault as fault:
        assert "dataset_info.json" in str(fault)


def test_batches_and_order_do_not_matter(project: Project) -> None:
    """Law 5: the same findings for any batch size, and for any order of the rows."""
    bad = [
        {"messages": []},
        {"messages": [{"role": "user", "content": "<image>"}, {"role": "assistant", "content": "x"}], "images": []},
        {
            "messages": [{"role": "user", "content": "<image>a"}, {"role": "assistant", "content": " "}],
            "images": ["no"],
        },
        {"messages": [{"role": "bot", "content": "a"}]},
        {
            "messages": [{"role": "user", "content": "<image>a"}, {"role": "assistant", "content": "b"}],
            "images": ["dog.jpg"],
        },
        *ROWS,
    ]
    order = list(range(len(bad)))
    random.Random(7).shuffle(order)
    yaml_file = project({"data.json": json.dumps(bad), "train.yaml": "cutoff_len: 60"})
    expected = located(check(yaml_file))
    assert {code for code, _, _ in expected} >= {"TRN001", "TAG201", "MED001", "TRN101", "BUD202", "TRN002"}
    for size in (1, 2, 3):
        assert located(check(yaml_file, CheckOptions(batch_rows=size))) == expected
    shuffled = project({"data.json": json.dumps([bad[number] for number in order]), "train.yaml": "cutoff_len: 60"})
    moved = {(code, order[row] if row is not None else None, text) for code, row, text in located(check(shuffled))}
    assert moved == expected


def located(report: Report) -> set[tuple[str, int | None, str]]:
    """Findings as comparable facts."""
    return {(item.code, item.place.row, item.place.path + item.found) for item in report.findings}
