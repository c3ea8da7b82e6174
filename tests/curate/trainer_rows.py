"""Conversations of each kind, and the rows that the real llamafactory's loader and converter make of a dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MEDIA = ("images", "videos", "audios")
TALK = [
    {
        "messages": [
            {"role": "system", "content": "You see and hear."},
            {"role": "user", "content": "<image>What colour, and <audio>what tone?"},
            {"role": "assistant", "content": "Red, steady."},
            {"role": "user", "content": "Sure?"},
            {"role": "assistant", "content": "Yes."},
        ],
        "images": ["media/red.jpg"],
        "audios": ["media/tone.wav"],
    },
    {"messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Ho."}]},
]
TOOLS = [
    {
        "messages": [
            {"role": "user", "content": "Weather in Oslo and Rome?"},
            {
                "role": "function",
                "content": json.dumps([{"name": "weather", "arguments": {"city": city}} for city in ("Oslo", "Rome")]),
            },
            {"role": "observation", "content": "4\n</tool_response>\n<tool_response>\n19"},
            {"role": "assistant", "content": "4 and 19."},
        ],
        "images": [],
        "audios": [],
        "tools": '[{"name": "weather", "description": "", "parameters": {"type": "object", "properties": {}}}]',
    }
]


def loaded(folder: Path, name: str, media_dir: Path | None = None) -> list[dict[str, Any]]:
    """The aligned rows of the real trainer; media are looked for in `folder` if no other is named."""
    import datasets
    from llamafactory.data.loader import _get_merged_dataset
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import Seq2SeqTrainingArguments

    datasets.disable_progress_bars()
    cache = folder / ".cache"
    media = str(media_dir or folder)
    data = DataArguments(template="qwen2_vl", dataset=name, dataset_dir=str(folder), media_dir=media)
    model = ModelArguments(model_name_or_path="none", cache_dir=str(cache))
    training = Seq2SeqTrainingArguments(output_dir=str(cache / "out"), use_cpu=True, report_to=[])
    merged = _get_merged_dataset(data.dataset, model, data, training, "sft")
    assert merged is not None
    return list(merged)


def facts(row: dict[str, Any], folder: Path) -> tuple[object, ...]:
    """Turns, system, tools and media of an aligned row."""
    turns = [(turn["role"], turn["content"]) for turn in row["_prompt"] + row["_response"]]
    media = {kind: [Path(path).relative_to(folder).as_posix() for path in row[f"_{kind}"] or []] for kind in MEDIA}
    return turns, row["_system"] or "", row["_tools"] or "", media


def expected(row: dict[str, Any]) -> tuple[object, ...]:
    """The same of our row."""
    turns = [(turn["role"], turn["content"]) for turn in row["messages"]]
    system = turns.pop(0)[1] if turns[0][0] == "system" else ""
    return turns, system, row.get("tools", ""), {kind: row.get(kind, []) for kind in MEDIA}
