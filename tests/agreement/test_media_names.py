"""What the real trainer opens, under any name, is healthy here, and what it does not open is not."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.media_names import BEYOND_UNICODE, NAMES, make_sources, spread
from validators.model import MediaKind
from validators.probes.cache import ProbeCache
from validators.probes.facts import Health

pytestmark = pytest.mark.trainer
NO_FILE = ("none", "file:none", "http:none", "", ".", "folder", "a\0b")


def opens(kind: MediaKind, path: str, media_dir: Path) -> bool:
    """Whether the trainer's converter finds, and its plugin's readers decode, the medium of that path."""
    from llamafactory.data.converter import SharegptDatasetConverter
    from llamafactory.data.mm_plugin import get_mm_plugin

    plugin: Any = get_mm_plugin("qwen2_vl", "<|image_pad|>", "<|video_pad|>")
    entry: Any = SimpleNamespace(load_from="file")
    arguments: Any = SimpleNamespace(media_dir=str(media_dir))
    limits = {"image_max_pixels": 768 * 768, "image_min_pixels": 32 * 32, "video_fps": 2.0, "video_maxlen": 8}
    try:
        media = SharegptDatasetConverter(entry, arguments)._find_medias([path])
        match kind:
            case MediaKind.IMAGE:
                plugin._regularize_images(media, **limits)
            case MediaKind.VIDEO:
                plugin._regularize_videos(media, **limits)
            case MediaKind.AUDIO:
                plugin._regularize_audios(media, sampling_rate=16000)
    except Exception:  # whatever it is, it stops the trainer
        return False
    return True


@pytest.mark.parametrize("kind", MediaKind)
def test_the_trainer_opens_what_is_healthy_here(
    kind: MediaKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files under the media folder, files that only the working folder has, broken files, no files."""
    source = make_sources(tmp_path)[kind]
    inside, home = tmp_path / "media", tmp_path / "home"
    (inside / "folder").mkdir(parents=True)
    home.mkdir()
    monkeypatch.chdir(home)
    paths = [*spread(source, inside, NAMES + BEYOND_UNICODE), *NO_FILE]
    paths += spread(source, home, tuple(f"home of {name}" for name in NAMES[:-2]))
    elsewhere = tuple(name for name in NAMES if ":" in name)
    for path in spread(source, home, tuple(f"x{name}" for name in elsewhere)):
        paths += [path, f"./{path}", f"file:{path}", f"file:{home / path}", str(home / path)]
    for name in NAMES:
        (inside / f"broken {name}"[:80]).write_bytes(b"no medium")
        paths.append(f"broken {name}"[:80])
    probes = ProbeCache()
    healthy = {path: probes.facts(kind, path, inside).health is Health.OK for path in paths}
    wrong = {path: said for path, said in healthy.items() if said != opens(kind, path, inside)}
    assert not wrong and True in healthy.values() and False in healthy.values(), os.linesep.join(map(ascii, wrong))
