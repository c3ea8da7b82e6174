"""Law 3: mended data, checked again: the finding is gone, nothing new came, a second mending changes nothing, and
rows that were not touched keep their bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curate.fixes.json_rows import text_rows
from curate.fixes.registry import COLUMN_FIXERS, ENTRY_FIXERS, MEDIA_FIXERS, ROW_FIXERS
from tests.curate.fixes.mended import mended
from tests.rules.test_laws import Project, fixture_of
from tests.scaffold import Overlay, blocks_of
from validators.engine import check
from validators.findings import Severity
from validators.report.model import Report
from validators.rules.fixable import FIXABLE, Safety
from validators.rules.registry import BY_CODE
from validators.rules.rule import Scope
from validators.sources.rows import SourceFault

SAFE, UNSAFE = Safety.SAFE, Safety.UNSAFE
# What mends each example: None where no machine can.
EXAMPLES: dict[tuple[str, str], Safety | None] = {
    ("DSI002", "page"): UNSAFE,
    ("DSI002", "fixture"): UNSAFE,
    ("DSI101", "fixture"): None,
    ("DSI201", "page"): UNSAFE,
    ("DSI201", "fixture"): UNSAFE,
    ("FRM103", "page"): None,
    ("FRM103", "fixture"): None,
    ("FRM104", "fixture"): None,
    ("FRM105", "fixture"): None,
    ("FRM115", "page"): None,
    ("FRM115", "fixture"): None,
    ("MED001", "page"): None,
    ("MED101", "page"): UNSAFE,
    ("MED101", "fixture"): None,
    ("TAG203", "fixture"): None,
    ("TRN201", "page"): None,
    ("TRN201", "fixture"): None,
    ("TRN202", "fixture"): None,
}
HI = {"role": "user", "content": "Hi"}
YES = {"role": "assistant", "content": "Yes."}
LOOK = {"role": "user", "content": "<image>?"}
# One more example for the codes whose own ones no machine can mend, or only by a guess.
MORE: dict[str, tuple[Safety, object]] = {
    "FRM103": (SAFE, [{"messages": json.dumps([HI, YES])}]),
    "FRM115": (SAFE, [{"messages": [LOOK, YES], "images": [{"path": "cat.jpg"}]}]),
    "MED101": (SAFE, [{"messages": [LOOK, YES, LOOK, YES], "images": ["cat.jpg", {"path": "dog.jpg"}]}]),
    "TRN201": (UNSAFE, [{"messages": [HI, HI, YES]}, {"messages": [HI, YES]}]),
}


def serious(report: Report) -> set[str]:
    """Codes of what is more than a note. Rules that weigh rows against each other are left out: a row that was lost
    and is mended can be the copy of another."""
    alone = (item for item in report.findings if BY_CODE[item.code].scope is not Scope.END)
    return {item.code for item in alone if item.severity is not Severity.NOTE}


def rows_of(folder: Path) -> dict[str, list[str]]:
    """The texts of all rows of all data files."""
    found = {}
    for path in folder.rglob("*.json*"):
        if path.name != "dataset_info.json" and "model" not in path.parts:
            try:
                found[str(path)] = [piece.text for piece in text_rows(path) if piece.row is not None]
            except SourceFault:
                found[str(path)] = [path.read_text("utf-8", "replace")]
    return found


def keeps_the_law(target: Path, code: str, safety: Safety | None) -> None:
    before, rows = check(target), rows_of(target.parent)
    for unsafe in (False, True):
        result = mended(target, unsafe)
        now = check(target)
        due = safety is SAFE or (safety is UNSAFE and unsafe)
        assert (code not in serious(now)) is due, (result, now.findings)
        assert serious(now) <= serious(before), (result, now.findings)
        after = rows_of(target.parent)
        touched = {(str(Path(item.file)), item.row) for item in result.applied}
        whole = {str(Path(item.file)) for item in result.applied if item.row is None}
        for name, texts in rows.items():
            for number, text in enumerate(texts):
                if (name, number) not in touched and name not in whole:
                    assert after[name][number] == text
        content = {path: path.read_bytes() for path in target.parent.rglob("*.json*")}
        mended(target, unsafe)
        assert content == {path: path.read_bytes() for path in target.parent.rglob("*.json*")}
        rows, before = after, now


@pytest.mark.parametrize("source", ["page", "fixture"])
@pytest.mark.parametrize("code", [code for code in FIXABLE if code not in MEDIA_FIXERS])
def test_mended_examples_keep_the_law(code: str, source: str, project: Project) -> None:
    overlay: Overlay = blocks_of(BY_CODE[code].page, "Bad") if source == "page" else fixture_of(code, "bad")
    safety = EXAMPLES.get((code, source), FIXABLE[code].safety)
    keeps_the_law(project(overlay), code, safety)


@pytest.mark.parametrize("code", MORE)
def test_more_examples_keep_the_law(code: str, project: Project) -> None:
    safety, rows = MORE[code]
    target = project({"data.json": json.dumps(rows)})
    assert code in serious(check(target))
    keeps_the_law(target, code, safety)


def test_what_is_declared_is_what_there_is() -> None:
    """`curate rules` says neither more nor less than the table of fixers holds."""
    assert FIXABLE.keys() == ROW_FIXERS.keys() | ENTRY_FIXERS.keys() | COLUMN_FIXERS | MEDIA_FIXERS.keys()
    assert FIXABLE.keys() <= BY_CODE.keys()


def test_every_code_has_an_example_that_its_surest_way_mends() -> None:
    """DSI002 and DSI201 have theirs in test_entries.py, MED001 in its fixture."""
    for code, fixable in FIXABLE.items():
        if code in MEDIA_FIXERS or code in ("DSI002", "DSI201"):
            continue
        found = {EXAMPLES.get((code, source), fixable.safety) for source in ("page", "fixture")}
        assert fixable.safety in found | {MORE[code][0] if code in MORE else None}, code
