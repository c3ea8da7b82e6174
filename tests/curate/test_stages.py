"""Stages: made once while nothing changes, and never half."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from curate.writers.stages import Stages, Watch


def copy_of(source: Path, made: list[str]) -> object:
    def make(folder: Path, watch: Watch) -> None:
        watch.see(source)
        made.append(source.name)
        (folder / "copy").write_text(source.read_text() if source.exists() else "none")

    return make


def test_a_stage_is_made_once_until_its_file_or_key_changes(tmp_path: Path) -> None:
    """Size and time tell, and so does a file that was missing and comes, or goes."""
    source, made = tmp_path / "a.txt", []
    stages = Stages(tmp_path / "stages")
    make = copy_of(source, made)

    def content(**key: object) -> str:
        return (stages.stage({"step": 1} | key, make) / "copy").read_text()

    assert content() == content() == "none" and len(made) == 1
    source.write_text("one")
    assert content() == content() == "one" and len(made) == 2
    os.utime(source, ns=(5, 5))
    assert content() == "one" and len(made) == 3
    assert content(seed=1) == "one" and len(made) == 4
    source.unlink()
    assert content() == "none" and len(made) == 5 == stages.made


def test_a_file_that_changes_while_it_is_read_is_read_again_next_time(tmp_path: Path) -> None:
    """What was read may be half of each."""
    source, made = tmp_path / "a.txt", []
    source.write_text("one")

    def make(folder: Path, watch: Watch) -> None:
        watch.see(source)
        made.append(source.read_text())
        source.write_text("three")

    stages = Stages(tmp_path / "stages")
    stages.stage({}, make)
    stages.stage({}, make)
    stages.stage({}, make)
    assert made == ["one", "three", "three"]


def test_what_breaks_off_leaves_no_stage(tmp_path: Path) -> None:
    """Neither by its name, nor in the way of the next attempt."""

    def broken(folder: Path, watch: Watch) -> None:
        (folder / "half").write_text("x")
        raise RuntimeError("cut")

    stages = Stages(tmp_path / "stages")
    with pytest.raises(RuntimeError):
        stages.stage({}, broken)
    assert not [item for item in stages.folder.iterdir() if not item.name.startswith(".")]
    folder = stages.stage({}, lambda part, watch: (part / "whole").write_text("y") and None)
    assert sorted(item.name for item in folder.iterdir()) == ["depends.jsonl", "whole"]


def test_what_is_no_longer_used_goes(tmp_path: Path) -> None:
    """Stages of recipes that have changed, and what dead builds left."""
    make = copy_of(tmp_path / "a", [])
    old = Stages(tmp_path / "stages")
    gone, kept = old.stage({"n": 1}, make), old.stage({"n": 2}, make)
    (old.folder / ".dead.part").mkdir()
    new = Stages(tmp_path / "stages")
    assert new.stage({"n": 2}, make) == kept and new.made == 0
    new.prune()
    assert kept.is_dir() and not gone.exists() and len(list(new.folder.iterdir())) == 1


def test_a_damaged_list_of_files_makes_the_stage_anew(tmp_path: Path) -> None:
    """Whatever is in it."""
    made: list[str] = []
    stages = Stages(tmp_path / "stages")
    for text in ("", "null\n", "{}\n", "[1]\n", "\xff"):
        folder = stages.stage({}, copy_of(tmp_path / "a", made))
        (folder / "depends.jsonl").write_text(text, encoding="latin-1")
    assert len(made) == 1 + 3
