"""Where the high-fps plugin serves, and what its frames mean for other rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.scaffold import Overlay
from validators.engine import check

Project = Callable[[Overlay], Path]
V45 = {"template": "minicpm_v", "model_name_or_path": "openbmb/MiniCPM-V-4_5", "enable_high_fps": True}
CLIP = [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}]


def codes(project: Project, keys: dict[str, object], **files: str) -> set[str]:
    """What a check of a row with a clip of 30 frames in 3 seconds finds."""
    data = json.dumps([{"messages": CLIP, "videos": ["clip.mp4"]}])
    overlay = {"train.yaml": yaml.safe_dump(keys), "data.json": data} | files
    return {item.code for item in check(project(overlay)).findings}


@pytest.mark.parametrize(
    "keys",
    [
        {"packing_maxlen": 7},
        {"packing_maxlen": "3"},
        {"time_scale": 0},
        {"double_frame_duration": True},
        {"video_fps": 0},
        {"model_name_or_path": "openbmb/MiniCPM-V-2_6"},
        {"template": "minicpm_o", "model_name_or_path": "openbmb/MiniCPM-o-4_5"},
        {"template": "qwen2_vl", "model_name_or_path": "model"},
    ],
    ids=str,
)
def test_keys_that_the_plugin_does_not_serve(keys: dict[str, object], project: Project) -> None:
    found = codes(project, V45 | keys)
    assert "CFG102" in found and "CFG313" not in found


@pytest.mark.parametrize(
    ("config", "served"),
    [
        ({"model_type": "minicpmv", "version": 4.5}, True),
        ({"model_type": "minicpmv", "version": 2.6}, False),
        ({"model_type": "minicpmo", "version": 4.5}, False),
    ],
)
def test_a_model_folder_says_whether_it_packs(config: dict[str, object], served: bool, project: Project) -> None:
    found = codes(project, V45 | {"model_name_or_path": "model"}, **{"model/config.json": json.dumps(config)})
    assert ("CFG313" in found) is served and ("CFG102" in found) is not served


def test_frames_are_counted_as_they_are_packed(project: Project) -> None:
    """video_maxlen 1 is one frame, and with packs of three it is three in one block."""
    keys = {**V45, "video_maxlen": 1, "video_fps": 10.0}
    assert "VID303" not in codes(project, keys | {"packing_maxlen": 3})
    assert "VID303" in codes(project, keys | {"packing_maxlen": 1})
    assert "VID303" in codes(project, keys | {"enable_high_fps": False})
