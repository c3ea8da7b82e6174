"""The entry in dataset_info.json that makes LLaMA-Factory read a built dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from curate.writers.form import Form
from validators.model import Role

TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}
TOOL_ROLES = (Role.FUNCTION, Role.OBSERVATION)


def entry(file_name: str, form: Form) -> dict[str, object]:
    """An entry with all tags spelt out, and the columns and roles that the dataset has."""
    columns = [*(kind.column for kind in form.kinds), *(["tools"] if form.tools else [])]
    return {
        "file_name": file_name,
        "formatting": "sharegpt",
        "columns": {"messages": "messages"} | {column: column for column in columns},
        "tags": TAGS | {f"{role}_tag": str(role) for role in TOOL_ROLES if role in form.roles},
    }


def write_info(path: Path, kept: Mapping[str, object], entries: Mapping[str, object]) -> None:
    """Write the file: entries that were there keep their place and content, ours are replaced or added."""
    merged = dict(kept) | dict(entries)
    path.write_text(json.dumps(merged, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
