"""dataset_info.json, parsed as the trainer does (llamafactory 0.9.5, data/parser.py: DatasetAttr, get_dataset_list).

The traps are kept: a `tags` object sets every tag that it leaves out to None, a `columns` object ignores keys that
it does not know, and either one being absent means the defaults.
"""

from __future__ import annotations

import json
import locale
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from validators.errors import UsageFault
from validators.model import MediaKind, Role

FILE_NAME = "dataset_info.json"
COLUMN_DEFAULTS: Mapping[str, str | None] = {
    "prompt": "instruction",
    "query": "input",
    "response": "output",
    "history": None,
    "messages": "conversations",
    "system": None,
    "tools": None,
    "images": None,
    "videos": None,
    "audios": None,
    "chosen": None,
    "rejected": None,
    "kto_tag": None,
}
TAG_DEFAULTS: Mapping[str, str] = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
ROLE_TAGS: Mapping[str, Role] = {
    "user_tag": Role.USER,
    "assistant_tag": Role.ASSISTANT,
    "observation_tag": Role.OBSERVATION,
    "function_tag": Role.FUNCTION,
    "system_tag": Role.SYSTEM,
}
ALPACA_COLUMNS = {"prompt": "instruction", "query": "input", "response": "output"}
ALPACA_COLUMNS |= {key: key for key in ("history", "system", "tools")}
FORMATTINGS = ("alpaca", "sharegpt", "openai")
HUB_KEYS = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """One entry: where its rows are and how its columns and tags are named."""

    name: str
    raw: Mapping[str, object]
    formatting: str
    ranking: bool
    columns: Mapping[str, str | None]
    tags: Mapping[str, str | None]

    @property
    def is_local(self) -> bool:
        """Whether the rows lie in local files (a hub address wins over file_name, as in the trainer)."""
        return not any(key in self.raw for key in HUB_KEYS)

    @property
    def file_name(self) -> str | None:
        """The data file or folder, relative to dataset_dir."""
        value = self.raw.get("file_name")
        return value if isinstance(value, str) else None

    def media_column(self, kind: MediaKind) -> str | None:
        """The data column that holds this modality's paths; None when the entry maps none."""
        return self.columns[kind.column]

    @property
    def split(self) -> str:
        """Which rows are taken, in the loader's notation."""
        value = self.raw.get("split", "train")
        return value if isinstance(value, str) else "train"

    def role_names(self) -> dict[str | None, str]:
        """The data's role words and what each becomes (`tag_mapping`; of tags that share a word the last wins)."""
        return {self.tags[tag]: role.value for tag, role in ROLE_TAGS.items()}

    def accepted(self) -> tuple[tuple[str | None, ...], tuple[str | None, ...]]:
        """Role words accepted at even positions (questions) and at odd ones (answers); None is one, once unnamed."""
        tags = self.tags
        return (tags["user_tag"], tags["observation_tag"]), (tags["assistant_tag"], tags["function_tag"])

    def place(self, turn: int | None = None) -> str:
        """Where a turn stands in its row, for lists of messages; without a turn, where the conversation stands."""
        column = self.columns["response" if self.formatting == "alpaca" else "messages"] or "messages"
        return column if turn is None or self.formatting == "alpaca" else f"{column}[{turn}]"

    @property
    def needed_columns(self) -> tuple[str, ...]:
        """Columns that the converter reads without a default: mapped and absent, they are a KeyError."""
        media = tuple(kind.column for kind in MediaKind)
        if self.formatting == "openai":
            return ("messages", "kto_tag", *media)
        if self.formatting == "sharegpt":
            return ("messages", "system", "tools", "kto_tag", *media)
        return ("history", "prompt", "query", "kto_tag", "response", "system", "tools", *media)


def parse_entry(name: str, raw: Mapping[str, object]) -> DatasetEntry:
    """Build an entry as DatasetAttr.join does."""
    columns = dict(COLUMN_DEFAULTS)
    if isinstance(given := raw.get("columns"), Mapping):
        columns = {key: text_or_none(given.get(key)) for key in COLUMN_DEFAULTS}
    tags: dict[str, str | None] = dict(TAG_DEFAULTS)
    if isinstance(given := raw.get("tags"), Mapping):
        tags = {key: text_or_none(given.get(key)) for key in TAG_DEFAULTS}
    formatting = raw.get("formatting", "alpaca")
    return DatasetEntry(name, raw, str(formatting), raw.get("ranking") is True, columns, tags)


def text_or_none(value: object) -> str | None:
    """A name, or None for anything that cannot be one."""
    return value if isinstance(value, str) else None


def read_info(path: Path) -> dict[str, object]:
    """The whole file as a mapping; UsageFault when it is missing, is not JSON or is no object."""
    try:
        info = json.loads(path.read_text(encoding=locale.getencoding()))
    except FileNotFoundError as error:
        raise UsageFault(
            path,
            "no such file",
            "the dataset_info.json of your dataset_dir",
            "set dataset_dir, or run `curate build`",
        ) from error
    except UnicodeDecodeError as error:
        raise UsageFault(path, f"bytes that are not {error.encoding} at offset {error.start}", "UTF-8 JSON") from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UsageFault(path, f"not JSON: {reason}", "a JSON object of datasets") from error
    if not isinstance(info, dict):
        raise UsageFault(path, f"a JSON {type(info).__name__}", "an object: {dataset name: entry}")
    return info


def infer_entry(name: str, sample: Mapping[str, object]) -> DatasetEntry:
    """The entry that fits a bare data file: names taken from its first row, as its owner would register it."""
    if "instruction" in sample and "messages" not in sample and "conversations" not in sample:
        named = {key: name for key, name in ALPACA_COLUMNS.items() if name in sample}
        named |= {kind.column: kind.column for kind in MediaKind if kind.column in sample}
        return parse_entry(Path(name).stem, {"file_name": name, "formatting": "alpaca", "columns": named})
    messages_key = next((key for key in ("messages", "conversations") if key in sample), "messages")
    turns = sample.get(messages_key)
    first = next((turn for turn in turns if isinstance(turn, Mapping)), {}) if isinstance(turns, list) else {}
    openai_keys = "role" in first or "content" in first or "from" not in first
    columns: dict[str, object] = {"messages": messages_key}
    columns |= {kind.column: kind.column for kind in MediaKind if kind.column in sample}
    columns |= {key: key for key in ("system", "tools") if key in sample}
    raw: dict[str, object] = {"file_name": name, "formatting": "sharegpt", "columns": columns}
    if openai_keys:
        raw["tags"] = {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "observation_tag": "observation",
            "function_tag": "function_call",
            "system_tag": "system",
        }
    return parse_entry(Path(name).stem, raw)
