"""The entry in dataset_info.json that makes LLaMA-Factory read a built dataset."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from validators.model import MediaKind

TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


def entry(name: str, kinds: Iterable[MediaKind]) -> dict[str, object]:
    """An entry with all tags spelt out, and the columns of the modalities that the dataset has."""
    return {
        "file_name": f"{name}.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages"} | {kind.column: kind.column for kind in kinds},
        "tags": dict(TAGS),
    }


def write_info(path: Path, kept: Mapping[str, object], entries: Mapping[str, object]) -> None:
    """Write the file: entries that were there keep their place and content, ours are replaced or added."""
    merged = dict(kept) | dict(entries)
    path.write_text(json.dumps(merged, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
