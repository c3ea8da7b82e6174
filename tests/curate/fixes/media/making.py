"""Making a mended copy by a code, and media to be mended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from curate.fixes.media.copies import MEDIA_FIXERS


def mend(code: str, source: Path, which: int = 0) -> Path:
    """The copy that the code's fixer makes; that the source stays and the bytes are always the same is seen here."""
    fixer = MEDIA_FIXERS[code][which]
    before = source.read_bytes()
    copies = []
    for number in (1, 2):
        copy = source.parent / f"mended{number}" / f"{source.stem}{fixer.suffix(source)}"
        copy.parent.mkdir(exist_ok=True)
        assert fixer.make(source, copy)
        assert list(copy.parent.iterdir()) == [copy]
        copies.append(copy.read_bytes())
        if number == 1:
            kept = copy.rename(source.parent / f"{source.stem}.{code}{copy.suffix}")
    copy.unlink()
    assert source.read_bytes() == before
    assert copies[0] == copies[1]
    return kept


def photo(width: int, height: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Smooth colours under a little noise, height x width x 3."""
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    planes = np.stack([across, down, (across + down) / 2], axis=-1) * 220
    return (planes + np.random.default_rng(seed).random((height, width, 3)) * 20).astype(np.uint8)


def frames(path: Path) -> list[Any]:
    """All frames of a video as PyAV gives them, height x width x 3."""
    import av

    with av.open(str(path)) as container:
        return [np.asarray(frame.to_image()).astype(int) for frame in container.decode(video=0)]
