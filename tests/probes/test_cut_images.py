"""Images that end too early, or not where they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.probes.test_altered import FILES
from tests.probes.trainer import read_image
from validators.probes.facts import Health
from validators.probes.image import probe_image


def is_readable(path: Path) -> bool:
    """Whether the trainer reads the file."""
    try:
        read_image(path)
    except Exception:  # whatever Pillow raises stops the trainer
        return False
    return True


@pytest.mark.parametrize("kind", FILES)
def test_cut_anywhere(kind: str, tmp_path: Path) -> None:
    """A file cut at any byte is healthy exactly where the trainer still reads it."""
    rng = np.random.default_rng(len(kind))
    whole = FILES[kind](rng)
    path = tmp_path / "cut.bin"
    for length in {*rng.integers(1, len(whole), 10), len(whole) - 1, len(whole) - 2, len(whole) - 4, len(whole) - 12}:
        path.write_bytes(whole[: int(length)])
        facts = probe_image(path)
        assert (facts.health is Health.OK) == is_readable(path), (kind, length, len(whole), facts)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "bmp", "mpo", "png alpha"])
@pytest.mark.parametrize("length", [1, 5000, 100_000])
def test_trailing_bytes(kind: str, length: int, tmp_path: Path) -> None:
    """What follows the end of a picture changes nothing for the trainer, and nothing in the facts."""
    rng = np.random.default_rng(length)
    path = tmp_path / "long.bin"
    whole = FILES[kind](rng)
    path.write_bytes(whole)
    alone = probe_image(path)
    path.write_bytes(whole + rng.bytes(length))
    assert probe_image(path) == alone
    assert is_readable(path)
