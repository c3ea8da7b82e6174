"""Stages: made once while nothing changes, and never half."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.work.stages import Stage, Stages
from curate.work.states import Watch


def copy_of(source: Path, made: list[str]) -> Callable[[Path, Watch], None]:
    def make(folder: Path, watch: Watch) -> None:
        watch.see(source)
        made.append(source.name)
        (folder / "copy").write_text(source.read_text() if source.exists() else "none")

    return make


def fresh(folder: Path) -> Stages:
    """The stages of another build."""
    return Stages(folder / "stages")


def test_a_stage_is_made_once_until_its_file_or_key_changes(tmp_path: Path) -> None:
    """Size, time and inode tell, and so does a file that was missing and comes, or goes."""
    source, made = tmp_path / "a.txt", []
    make = copy_of(source, made)

    def content(**key: object) -> str:
        return (fresh(tmp_path).stage({"step": 1} | key, make).folder / "copy").read_text()

    assert content() == content() == "none" and len(made) == 1
    source.write_text("one")
    assert content() == content() == "one" and len(made) == 2
    os.utime(source, ns=(5, 5))
    assert content() == "one" and len(made) == 3
    other = tmp_path / "b.txt"
    other.write_text("two")
    os.utime(other, ns=(5, 5))
    other.rename(source)
    assert content() == "two" and len(made) == 4, "another file of the same size and time"
    assert content(seed=1) == "two" and len(made) == 5
    source.unlink()
    assert content() == "none" and len(made) == 6


def test_a_folder_s_listing_is_watched(tmp_path: Path) -> None:
    """A file more, less, renamed or changed; not what lies in a folder that is left out."""
    folder, made = tmp_path / "in", []
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("a")
    (folder / "gone").symlink_to(tmp_path / "nowhere")

    def make(part: Path, watch: Watch) -> None:
        watch.see_folder(folder)
        made.append("x")

    def build() -> int:
        Stages(tmp_path / "stages", frozenset([str(folder / "out")])).stage({}, make)
        return len(made)

    assert build() == build() == 1
    (folder / "out").mkdir()
    (folder / "out" / "b.txt").write_text("b")
    assert build() == 1
    (folder / "b.txt").write_text("b")
    assert build() == build() == 2
    (folder / "b.txt").rename(folder / "c.txt")
    assert build() == build() == 3
    (folder / "deep" / "a.txt").write_text("other")
    assert build() == build() == 4
    (folder / "c.txt").unlink()
    assert build() == build() == 5


def test_a_stage_whose_own_files_changed_is_made_anew(tmp_path: Path) -> None:
    """They may have hard links in the target, where people edit."""
    made: list[str] = []
    make = copy_of(tmp_path / "a", made)
    stage = fresh(tmp_path).stage({}, make)
    os.link(stage.folder / "copy", tmp_path / "linked")
    assert fresh(tmp_path).stage({}, make).kept
    (tmp_path / "linked").write_text("edited")
    again = fresh(tmp_path).stage({}, make)
    assert not again.kept and (again.folder / "copy").read_text() == "none"
    assert again.files == stage.files
    (again.folder / "copy").unlink()
    assert not fresh(tmp_path).stage({}, make).kept


def test_a_made_medium_that_changed_or_went_makes_the_stage_anew(tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    made: list[int] = []

    def make(folder: Path, watch: Watch) -> None:
        medium.write_text(f"made {len(made)}")
        made.append(1)
        watch.keep(medium)

    fresh(tmp_path).stage({}, make)
    assert fresh(tmp_path).stage({}, make).kept
    medium.unlink()
    assert not fresh(tmp_path).stage({}, make).kept
    medium.write_text("other")
    assert not fresh(tmp_path).stage({}, make).kept and len(made) == 3


def test_a_file_that_changes_while_it_is_read_is_read_again_next_time(tmp_path: Path) -> None:
    """What was read may be half of each; and what another part of the build saw earlier counts, too."""
    source, made = tmp_path / "a.txt", []
    source.write_text("one")

    def make(folder: Path, watch: Watch) -> None:
        watch.see(source)
        made.append(source.read_text())
        source.write_text("three")

    for _ in range(3):
        fresh(tmp_path).stage({}, make)
    assert made == ["one", "three", "three"]
    stages = fresh(tmp_path)
    first = copy_of(source, made)
    stages.stage({"n": 1}, first)
    source.write_text("four")
    stages.stage({"n": 2}, first)
    assert not fresh(tmp_path).stage({"n": 2}, first).kept, "its first look was at another file"


def test_what_breaks_off_leaves_no_stage(tmp_path: Path) -> None:
    """Neither by its name, nor in the way of the next attempt."""

    def broken(folder: Path, watch: Watch) -> None:
        (folder / "half").write_text("x")
        raise RuntimeError("cut")

    stages = fresh(tmp_path)
    with pytest.raises(RuntimeError):
        stages.stage({}, broken)
    assert not [item for item in stages.folder.iterdir() if not item.name.startswith(".")]
    stage = stages.stage({}, copy_of(tmp_path / "a", []))
    assert sorted(item.name for item in stage.folder.iterdir()) == ["copy", "stage.json"]


def test_what_is_no_longer_used_goes(tmp_path: Path) -> None:
    """Stages of recipes that have changed, and what dead builds left."""
    make = copy_of(tmp_path / "a", [])
    old = fresh(tmp_path)
    gone, kept = old.stage({"n": 1}, make), old.stage({"n": 2}, make)
    (old.folder / ".dead.part").mkdir()
    new = fresh(tmp_path)
    assert new.stage({"n": 2}, make) == Stage(kept.folder, kept.files, True)
    new.prune()
    assert kept.folder.is_dir() and not gone.folder.exists() and len(list(new.folder.iterdir())) == 1


@pytest.mark.parametrize("text", ["", "null", "{}", "[1]", '{"own": 1, "depends": []}', '{"own": {}, "depends": [1]}'])
def test_a_damaged_list_of_files_makes_the_stage_anew(text: str, tmp_path: Path) -> None:
    make = copy_of(tmp_path / "a", [])
    stage = fresh(tmp_path).stage({}, make)
    assert json.loads((stage.folder / "stage.json").read_text())["depends"]
    (stage.folder / "stage.json").write_text(text)
    assert not fresh(tmp_path).stage({}, make).kept
