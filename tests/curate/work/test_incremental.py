"""A later build makes only what changed, and what it makes is what a clean build would make."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from curate.cli import main
from curate.media import keeper
from curate.recipe import read_recipe
from curate.writers.build import Build, write_build
from tests.curate.work.test_kill import contents
from tests.curate.work.test_kill import home as home  # noqa: PLC0414 - the fixture


def build(folder: Path, fresh: bool = False) -> Build:
    return write_build(read_recipe(folder / "recipe.yaml"), lambda name, rows: None, fresh)


def edit(folder: Path, **keys: object) -> None:
    """Change top-level keys of the recipe."""
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text()) | keys
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))


@pytest.fixture
def built(home: Path) -> Path:
    assert build(home).kept == 0
    return home


def test_nothing_is_made_where_nothing_changed(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(built / "out")
    inodes = {path: path.stat().st_ino for path in (built / "out").rglob("*") if path.is_file()}
    opened: list[Path] = []
    real = keeper.sha256_of
    monkeypatch.setattr(keeper, "sha256_of", lambda path: (opened.append(path), real(path))[1])
    again = build(built)
    assert again.made == () and again.kept > 10
    assert contents(built / "out") == before and opened == []
    same = [path for path, inode in inodes.items() if path.stat().st_ino == inode]
    assert len(same) == len(inodes) - 5, "ledger, rejects, dataset_info, lock and manifest are written; all else stays"
    assert build(built, fresh=True).kept == 0
    assert contents(built / "out") == before


def test_a_changed_source_makes_its_own_parts_anew(built: Path) -> None:
    """Other sources and datasets are left alone; a step whose rows come out the same ends it there."""
    from PIL import Image

    Image.effect_noise((90, 31), 40).convert("RGB").save(built / "media/new.png")
    with (built / "two.jsonl").open("a") as file:
        file.write('{"file_name": "new.png", "caption": "A late picture."}\n')
    made = build(built).made
    assert made[0] == "pics: two.jsonl read" and "pics: written" in made and "both: mixed" in made
    assert not any("one.jsonl" in words or words.startswith("talks") for words in made)
    with (built / "two.jsonl").open("a") as file:
        file.write('{"file_name": "3.png", "caption": "x"}\n{"file_name": "gone.png", "caption": "y z"}\n')
    made = build(built).made
    assert made == ("pics: two.jsonl read", "pics: sources joined", "pics: filter"), "the filter drops the new row"
    with (built / "two.jsonl").open("a") as file:
        file.write('{"file_name": "gone.png", "caption": "z z z"}\n')
    assert build(built).made == ("pics: two.jsonl read",)


def test_only_the_medium_that_changed_is_made_anew(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    made: list[str] = []
    real = keeper.copied
    monkeypatch.setattr(keeper, "copied", lambda source, part: (made.append(source.name), real(source, part))[1])
    Image.effect_noise((80, 30), 40).convert("RGB").save(built / "media/5.png")
    said = build(built).made
    assert made == ["5.png"] and "pics: one.jsonl read" in said and "talks: sources joined" not in said
    stored = {path.name for path in (built / "out/media").rglob("*.png")}
    assert build(built, fresh=True).kept == 0
    assert {path.name for path in (built / "out/media").rglob("*.png")} == stored, "the old one went"


def test_a_medium_that_comes_or_goes_is_seen(built: Path) -> None:
    rows = (built / "one.jsonl").read_text() + '{"file_name": "later.png", "caption": "It comes later."}\n'
    (built / "one.jsonl").write_text(rows)
    assert sum(build(built).datasets[0].dropped.values()) == 5
    os.link(built / "media/1.png", built / "media/later.png")
    assert sum(build(built).datasets[0].dropped.values()) == 4
    (built / "media/later.png").unlink()
    assert sum(build(built).datasets[0].dropped.values()) == 5


def test_other_settings_make_anew_what_they_decide(built: Path) -> None:
    """Steps, their options, the train yaml and the model's files."""
    recipe = yaml.safe_load((built / "recipe.yaml").read_text())
    recipe["datasets"][1]["steps"][1] = {"shuffle": {"seed": 3}}
    edit(built, datasets=recipe["datasets"])
    assert build(built).made == ("talks: shuffle", "both: mixed", "talks: written"), "what is drawn needs no order"
    settings = yaml.safe_load((built / "train.yaml").read_text())
    (built / "train.yaml").write_text(yaml.safe_dump(settings | {"cutoff_len": 399}))
    assert "talks: budget" in build(built).made
    tokenizer = built / "model" / "tokenizer.json"
    tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text()), indent=1))
    made = build(built).made
    assert "talks: budget" in made and "talks: written" not in made, "tokens are counted anew, and come out the same"
    edit(built, normalise={"max_side": 20})
    assert "pics: one.jsonl read" in build(built).made


def test_what_is_edited_in_the_target_is_mended(built: Path) -> None:
    """Its files are hard links of those that are kept."""
    before = contents(built / "out")
    medium = next((built / "out/media").rglob("*.png"))
    for file in (built / "out/talks.json", built / "out/arrow/pics/state.json", medium):
        with file.open("ab") as out:
            out.write(b"edited")
    assert len(build(built).made) > 0
    assert contents(built / "out") == before


def test_a_disk_without_hard_links_holds_the_same(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(built / "out")

    def refused(*args: object, **kwargs: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    for _ in range(2):
        build(built)
        assert contents(built / "out") == before


def test_a_lock_holds_a_later_build_to_what_it_says(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By sources, recipe and result; another folder is no other build, other versions alone are no fault."""
    recipe, lock = built / "recipe.yaml", built / "build.lock"
    value = json.loads((built / "out/lock.json").read_text())
    assert set(value["sources"]) == {"one.jsonl", "two.jsonl", "talks.jsonl"}
    assert set(value["datasets"]) == {"pics", "pics_eval", "talks", "both"}
    assert value["datasets"]["talks"]["rows"] == 20 and value["datasets"]["pics"]["media"]["files"] > 0
    assert str(built) not in json.dumps(value)
    lock.write_text(json.dumps(value | {"versions": {"mmcurate": "0"}}))
    moved = built.parent / "moved"
    built.rename(moved)
    built.symlink_to(moved)  # the train yaml names the model's folder
    assert main(["build", str(moved / "recipe.yaml"), "--locked", str(moved / "build.lock")]) == 0
    before = contents(moved / "out")
    with (moved / "talks.jsonl").open("a") as file:
        file.write(
            '{"messages": [{"role": "user", "content": "One more?"}, {"role": "assistant", "content": "Yes."}]}\n'
        )
    capsys.readouterr()
    assert main(["build", str(recipe), "--locked", str(lock)]) == 2
    said = capsys.readouterr().err
    assert "sources.talks.jsonl.sha256" in said and "datasets.talks.rows" in said and "one.jsonl" not in said
    assert contents(moved / "out") == before, "the target stays as it was"
    lock.write_text("[]")
    assert main(["build", str(recipe), "--locked", str(lock)]) == 2
    assert "no JSON object" in capsys.readouterr().err


def test_a_picture_is_decoded_once_for_all_builds(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Near pictures are compared anew among all; only those that are new are opened."""
    from PIL import Image

    from curate.steps import twins

    looked: list[Path] = []
    real = twins.copy_of
    monkeypatch.setattr(twins, "copy_of", lambda path: (looked.append(path), real(path))[1])
    Image.effect_noise((44, 44), 40).convert("RGB").save(built / "media/new.png")
    with (built / "one.jsonl").open("a") as file:
        file.write('{"file_name": "new.png", "caption": "A late picture."}\n')
    assert "pics: dedup" in build(built).made
    assert len(looked) == 1
