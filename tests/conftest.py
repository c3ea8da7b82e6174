"""Fixtures that all rooms share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scaffold import Overlay, lay_out, make_media, make_tokenizer

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Media and a tokenizer, made once."""
    folder = tmp_path_factory.mktemp("stock") / "project"
    make_media(folder)
    make_tokenizer(folder / "model")
    return folder


@pytest.fixture
def project(stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Overlay], Path]:
    """Lays an example over a fresh copy of the scaffold, makes it the working folder, and returns its train yaml."""

    def make(overlay: Overlay) -> Path:
        folder = tmp_path / "project"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(stock, folder)
        shutil.copy(stock.parent / "outside.jpg", tmp_path / "outside.jpg")
        monkeypatch.chdir(folder)
        return lay_out(folder, overlay).relative_to(folder)

    return make


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT
