"""One real LoRA run, merge and ZeRO-2 run of the shipped recipes, shared by all tests of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from train.tiny_families import DEFAULT

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Workshop:
    """A folder laid out like the checkout, where the recipes' paths hold."""

    folder: Path

    def curate(self, *arguments: str, code: int | None = 0, **environment: str) -> str:
        """Run the command there; its output, once it ended with `code`."""
        done = subprocess.run(
            [BIN / "curate", *arguments],
            cwd=self.folder,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert code is None or done.returncode == code, done.stdout
        return done.stdout

    def tiny(self, out: str, family: str = DEFAULT) -> None:
        """A tiny model of a family, its tokenizer trained on the demo's texts."""
        texts = sorted(str(path) for path in (self.folder / "build/demo").glob("demo_*.json"))
        subprocess.run(
            # -P: this folder's train/ holds recipes, it is not the package
            [sys.executable, "-P", "-m", "train.tiny", out, "--family", family, "--text", *texts],
            cwd=self.folder,
            check=True,
            capture_output=True,
        )


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Data and tiny model of the demo."""
    folder = tmp_path_factory.mktemp("workshop")
    for part in ("examples/demo", "train/recipes", "train/deepspeed"):
        shutil.copytree(ROOT / part, folder / part)
    shop = Workshop(folder)
    shop.curate("build", "examples/demo/recipe.yaml")
    shop.tiny("build/tiny-qwen2vl")
    return shop


@pytest.fixture(scope="session")
def lora(workshop: Workshop) -> str:
    """What the LoRA run said."""
    return workshop.curate("train", "train/recipes/tiny_lora.yaml")


@pytest.fixture(scope="session")
def merged(workshop: Workshop, lora: str) -> str:
    """What the merge said."""
    return workshop.curate("export", "train/recipes/tiny_merge.yaml")


@pytest.fixture(scope="session")
def full(workshop: Workshop) -> str:
    """What full SFT with DeepSpeed ZeRO-2 on two processes said."""
    return workshop.curate("train", "train/recipes/tiny_full.yaml", NPROC_PER_NODE="2")
