"""A build that is killed, wherever it is: the target stands, the next build goes on, and ends with the same bytes."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.curate.work import killer
from tests.scaffold import make_tokenizer

KILLS = 50


@dataclass
class Builder:
    """The process that forks builds."""

    process: subprocess.Popen[str]

    def build(self, recipe: Path, change: int = 0) -> int:
        """Build, and kill at a change to the disk: the status."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{recipe} {change}\n")
        self.process.stdin.flush()
        self.process.stdout.readline()  # the child's process id
        word, status = self.process.stdout.readline().split()
        assert word == "done"
        return int(status)


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    with subprocess.Popen(
        [sys.executable, killer.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield Builder(process)
        process.kill()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Captions of pictures that are made uniform, talks, every kind of step, a mixture; twice, for a clean build."""
    from PIL import Image

    folder = tmp_path / "a"
    (folder / "media").mkdir(parents=True)
    for number in range(24):
        picture = Image.effect_noise((40 + number % 12, 30), 40)
        picture.convert("RGB").save(folder / f"media/{number}.png")
    write_rows(folder, 0)
    make_tokenizer(folder / "model")
    settings = {"template": "qwen2_vl", "model_name_or_path": str(folder / "model"), "cutoff_len": 400}
    (folder / "train.yaml").write_text(yaml.safe_dump(settings))
    pictures = [{"path": name, "format": "jsonl"} for name in ("one.jsonl", "two.jsonl")]
    recipe = {
        "version": 1,
        "target": "out",
        "media_root": "media",
        "media": "store",
        "normalise": {"max_side": 45},
        "trainer": "train.yaml",
        "datasets": [
            {
                "name": "pics",
                "sources": pictures,
                "steps": [
                    {"filter": "answer_chars > 5"},
                    {"dedup": {"images": 0.95}},
                    "clean",
                    {"split": {"eval": 0.2}},
                ],
            },
            {"name": "talks", "sources": [{"path": "talks.jsonl"}], "steps": [{"budget": "drop"}, "shuffle"]},
        ],
        "mixes": [{"name": "both", "of": {"pics": 1, "talks": 2}}],
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return folder


def write_rows(folder: Path, version: int) -> None:
    """Sources of a version: some rows of an earlier one, some new."""
    for name, first in (("one", 0), ("two", 12)):
        rows = [
            {"file_name": f"{number % 24}.png", "caption": f"Picture {number}, version {version * (number % 5 == 0)}."}
            for number in range(first, first + 16)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    talks = [
        {
            "messages": [
                {"role": "user", "content": f"Say {number}."},
                {"role": "assistant", "content": f"It is {number}."},
            ]
        }
        for number in range(20 + version)
    ]
    (folder / "talks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in talks))


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_killed_sixty_times_anywhere_it_ends_the_same(home: Path, builder: Builder, tmp_path: Path) -> None:
    """Kills at random changes to the disk. After each the target is the old build
    or the new one, whole; what the dead left costs nothing but what they had not finished."""
    rng = random.Random(7)
    recipe, out = home / "recipe.yaml", home / "out"
    assert builder.build(recipe) == 0
    stands = contents(out)
    kills = survived = 0
    changes = 500
    for version in range(1, 100):
        write_rows(home, version)
        clean = tmp_path / f"clean{version}"
        shutil.copytree(home, clean, ignore=shutil.ignore_patterns("out", ".out*"))
        text = (clean / "train.yaml").read_text()
        assert str(home) in text, "both builds read one model, so that their train yaml is the same"
        assert builder.build(clean / "recipe.yaml") == 0
        wanted = contents(clean / "out")
        assert wanted != stands
        for _ in range(12):
            status = builder.build(recipe, change=rng.randrange(1, changes))
            found = contents(out)
            assert found in (stands, wanted), f"version {version}: half a build"
            if status == signal.SIGKILL:
                kills += 1
            else:
                assert status == 0
                survived += 1
                assert found == wanted
                break
        assert builder.build(recipe) == 0
        assert contents(out) == wanted
        assert sorted(path.name for path in home.glob(".out*")) == [".out.lock", ".out.work"]
        stands = wanted
        if kills >= KILLS:
            break
    assert kills >= KILLS and survived, f"{kills} kills, {survived} builds that outlived theirs"


def test_a_build_that_is_always_killed_comes_to_its_end(home: Path, builder: Builder) -> None:
    """Each time after about four fifths of the changes to the disk that an unbroken build makes: finished parts stay
    finished."""
    recipe = home / "recipe.yaml"
    status = builder.build(recipe, change=400)
    assert status == signal.SIGKILL and not (home / "out").exists(), "no build from the start survives that"
    for _ in range(10):
        status = builder.build(recipe, change=400)
        if status == 0:
            break
    assert status == 0 and (home / "out" / "manifest.json").is_file()
