"""The support table is whole, and what it says of the default environment holds when it is run again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from scripts.make_support import PAIRS
from scripts.support.cells import TABLE, Cell, key, merge, read_cells, write_cells
from scripts.support.families import FAMILIES
from scripts.support.runs import clean
from validators.llamafactory.environment.locked import LOCKED
from validators.llamafactory.trainer import REFERENCE

RERUN = ("text", "qwen3_5", "video_llava")
"""One family of the default environment that trains, one that it has no class for, one that stops at its model."""


def test_every_family_has_a_cell_in_every_pair() -> None:
    cells = read_cells()
    found = [key(cell) for cell in cells]
    wanted = {(name, pair.llamafactory, pair.transformers) for name, pair in product(FAMILIES, PAIRS)}
    assert set(found) == wanted
    assert found == sorted(wanted)
    assert {environment.trainer for environment in LOCKED} <= set(PAIRS)


def test_every_cell_says_how_it_was_run_or_why_not() -> None:
    for cell in read_cells():
        assert cell.result in {"trains", "fails", "not run"}, cell
        if cell.result == "not run":
            assert cell.words, cell
            assert not (cell.evidence or cell.source), cell
        else:
            assert cell.evidence, cell
            assert f"transformers {cell.transformers}" in cell.source, cell
            assert f"llamafactory {cell.llamafactory}" in cell.source, cell
        assert bool(cell.words) == (cell.result != "trains"), cell
        assert bool(cell.stage) == (cell.result == "fails" or bool(cell.fails_on)), cell


def test_no_cell_names_a_folder_of_the_machine_or_an_address() -> None:
    text = TABLE.read_text(encoding="utf-8")
    assert "/tmp" not in text
    assert "://" not in text
    assert str(Path.home()) not in text


def test_words_lose_folders_and_addresses() -> None:
    said = "OSError: no /tmp/x/model/spk_dict.pt at 0x7f00deadbeef,\n see https://host/a/b for `a/b`"
    assert clean(said) == "OSError: no spk_dict.pt at 0x…, see … for `a/b`"


def test_a_run_replaces_what_was_known_and_not_run_never_does(tmp_path: Path) -> None:
    def cell(family: str, result: str, words: str = "") -> Cell:
        return Cell(family=family, llamafactory="0.9.5", transformers="4.57.1", result=result, words=words)

    known = [cell("b", "trains"), cell("a", "not run", "no code")]
    merged = merge(known, [cell("b", "not run", "no code"), cell("a", "fails", "words"), cell("c", "not run", "why")])
    assert [(one.family, one.result) for one in merged] == [("a", "fails"), ("b", "trains"), ("c", "not run")]
    write_cells(merged, tmp_path / "table.json")
    assert read_cells(tmp_path / "table.json") == merged


@pytest.mark.trainer
def test_cells_of_the_default_environment_hold(root: Path, tmp_path: Path) -> None:
    table = tmp_path / "support.json"
    command = [sys.executable, str(root / "scripts/make_support.py"), "--table", str(table)]
    command += ["--pair", f"{REFERENCE.llamafactory}x{REFERENCE.transformers}"]
    command += [part for name in RERUN for part in ("--family", name)]
    unset = ("MMCURATE_PACKAGES", "MMCURATE_PUBLISHED", "MMCURATE_REAL_MINICPM")
    variables = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    stored = {key(cell): cell for cell in read_cells()}
    again = read_cells(table)
    assert [cell.family for cell in again] == sorted(RERUN)
    assert again == [stored[key(cell)] for cell in again], json.dumps([cell.entry() for cell in again], indent=1)
