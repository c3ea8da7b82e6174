"""The project's own promises: generated files are fresh, start-up is light, names are ours alone."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest

from validators.llamafactory.environment.locked import LOCKED
from validators.llamafactory.environment.store import LOCKS

HEAVY = ("torch", "transformers", "polars", "pyarrow", "datasets", "av", "PIL", "numpy", "pandera", "huggingface_hub")


@pytest.mark.trainer
def test_tables_of_the_trainer_are_fresh(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, root / "scripts" / "make_tables.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_generated_documents_are_fresh(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, root / "scripts" / "make_docs.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        *([command, "--help"] for command in ("check", "stats", "view", "diff")),
        *(["--help"], ["rules"], ["explain", "TAG201"], ["completion", "bash"]),
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom curate.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    light = HEAVY if arguments == ["--help"] else ("torch", "transformers", "datasets")
    assert loaded.isdisjoint(light), loaded & set(light)


def test_no_dependency_ships_a_room_of_ours(root: Path) -> None:
    rooms = {"curate", "train", "validators"}
    for installed in distributions():
        if installed.metadata["Name"] != "mmcurate":
            tops = {file.parts[0].removesuffix(".py") for file in installed.files or () if file.suffix == ".py"}
            assert rooms.isdisjoint(tops), installed.metadata["Name"]
    for room in rooms:
        assert Path(sys.modules[room].__file__ or "").parent == root / room if room in sys.modules else True


def test_the_core_is_light() -> None:
    required = [item for item in distribution("mmcurate").requires or () if "extra ==" not in item]
    names = {re.split(r"[^A-Za-z0-9_.-]", item)[0].lower() for item in required}
    assert names.isdisjoint({"torch", "ray", "transformers", "llamafactory", "deepspeed"}) and "polars" in names


def test_locks_have_hashes_and_no_hosts(root: Path) -> None:
    for lock in (*(root / "requirements").glob("*.txt"), *LOCKS.glob("*.txt")):
        text = lock.read_text()
        pins = re.findall(r"^[A-Za-z0-9_.-]+==", text, re.MULTILINE)
        assert pins and len(re.findall(r"^[^\n]+==[^\n]+\\\n    --hash=", text, re.MULTILINE)) == len(pins)
        code = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
        assert "http" not in re.sub(r"^[a-z0-9-]+==.*$", "", code, flags=re.MULTILINE) and "index-url" not in code


def test_each_lock_holds_the_versions_of_its_environment() -> None:
    for environment in LOCKED:
        pins = (LOCKS / environment.lock).read_text()
        for name in ("llamafactory", "transformers"):
            wanted = f"{name}=={getattr(environment.trainer, name)}"
            assert re.search(rf"^{re.escape(wanted)} ", pins, re.MULTILINE), f"{environment.lock}: {wanted}"


def test_every_package_is_shipped(root: Path) -> None:
    """Packages are listed by hand in pyproject.toml: a new folder must not be forgotten."""
    import tomllib

    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        path.parent.relative_to(root).as_posix().replace("/", ".")
        for room in ("curate", "train", "validators")
        for path in (root / room).rglob("__init__.py")
    }
    assert found == set(listed)
    folders = {path.parent for room in ("curate", "train", "validators") for path in (root / room).rglob("*.py")}
    assert all((folder / "__init__.py").is_file() for folder in folders)
