"""One row of each modality, as a dataset of its own."""

from __future__ import annotations

import json
from pathlib import Path

from tests.scaffold import make_clip, make_tone

MODALITIES = ("text", "image", "video", "audio")


def make_data(folder: Path) -> None:
    """Write dataset_info.json, a dataset a modality, and the media, small enough that a step takes no time."""
    from PIL import Image

    folder.mkdir(parents=True)
    Image.linear_gradient("L").resize((112, 84)).convert("RGB").save(folder / "image.png")
    make_clip(folder / "video.mp4", frames=40, size=(112, 84))
    make_tone(folder / "audio.wav", seconds=1.0)
    files = {"image": "image.png", "video": "video.mp4", "audio": "audio.wav"}
    info = {}
    for name in MODALITIES:
        tag = f"<{name}>" if name in files else ""
        turns = [{"role": "user", "content": f"{tag}What is it?"}, {"role": "assistant", "content": "It is a cat."}]
        media = {f"{name}s": [str(folder / files[name])]} if name in files else {}
        (folder / f"{name}.json").write_text(json.dumps([{"messages": turns, **media}]))
        info[name] = {
            "file_name": f"{name}.json",
            "formatting": "sharegpt",
            "columns": {"messages": "messages", **{key: key for key in media}},
            "tags": {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
            },
        }
    (folder / "dataset_info.json").write_text(json.dumps(info, indent=2) + "\n")
