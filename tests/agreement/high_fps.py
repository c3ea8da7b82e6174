"""The high-fps plugin in its place for a while, and clips to sample."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.scaffold import make_clip

CLIPS = [(1, 10), (7, 30), (30, 10), (61, 12), (90, 24), (150, 5), (200, 50), (333, 25)]
"""Frames, and frames a second."""


def make_clips(folder: Path) -> list[Path]:
    """Clips of every length; one is large enough to be sliced where video_max_pixels lets it."""
    for frames, rate in CLIPS:
        make_clip(folder / f"{frames}.mp4", frames, rate=rate)
    make_clip(folder / "wide.mp4", 12, size=(640, 480), rate=6)
    return sorted(folder.iterdir())


@contextmanager
def registered() -> Iterator[Any]:
    """The plugin that replaces the trainer's own, taken from where the trainer looks for it; put back afterwards."""
    from llamafactory.data.mm_plugin import PLUGINS
    from llamafactory.data.template import TEMPLATES
    from llamafactory.hparams import parser
    from llamafactory.model import loader

    from train.plugins import minicpm_high_fps

    with pytest.MonkeyPatch.context() as restored:
        restored.setitem(PLUGINS, "minicpm_v", PLUGINS["minicpm_v"])
        restored.setattr(loader, "patch_processor", loader.patch_processor)
        for name in ("_TRAIN_ARGS", "_INFER_ARGS", "_EVAL_ARGS"):
            restored.setattr(parser, name, list(getattr(parser, name)))
        for name in ("minicpm_v", "minicpm_o"):
            restored.setitem(TEMPLATES, name, copy.deepcopy(TEMPLATES[name]))
        minicpm_high_fps.register()
        minicpm_high_fps.register()
        found = TEMPLATES["minicpm_v"].mm_plugin
        assert type(found) is minicpm_high_fps.HighFpsPlugin and found.video_token == "<video>"
        assert TEMPLATES["minicpm_o"].mm_plugin.audio_token == "<audio>"
        yield found
