"""The dataset card: front matter that the Hub and `datasets` read, and a body for people."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from validators.model import MediaKind

BEGIN = "<!-- written by curate push: begin -->"
END = "<!-- written by curate push: end -->"
FRONT = re.compile(r"\A---\r?\n(.*?)^---\r?\n?", re.DOTALL | re.MULTILINE)
TAGS = ("llama-factory", "sharegpt", "multimodal", "conversational")
OURS = ("configs", "dataset_info", "size_categories")
"""Front matter that follows from the data; the rest is the owner's once the card exists."""
TASKS = {
    MediaKind.IMAGE: "image-text-to-text",
    MediaKind.VIDEO: "video-text-to-text",
    MediaKind.AUDIO: "audio-text-to-text",
}
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


@dataclass(frozen=True, slots=True)
class CardDataset:
    """What the card says of one dataset."""

    name: str
    rows: int
    parquet_bytes: int
    data_files: str
    kinds: tuple[MediaKind, ...]
    media: int
    features: Mapping[str, Any]
    """The `features` of its dataset_info, in the card's form."""


def card(repo: str, datasets: Sequence[CardDataset], has_files: bool, existing: str | None = None) -> str:
    """The card's text. Of an existing card all is kept but our block and what follows from the data."""
    block = f"{BEGIN}\n{body(repo, datasets, has_files)}{END}"
    front, prose = split_front(existing or "")
    fresh = front_matter(datasets)
    front = {**fresh, **front, **{key: fresh[key] for key in OURS}}
    if BEGIN in prose and END in prose:
        head, _, rest = prose.partition(BEGIN)
        prose = head + block + rest.partition(END)[2]
    else:
        prose = f"{prose.rstrip()}\n\n{block}\n".lstrip()
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n{prose}"


def split_front(text: str) -> tuple[dict[str, Any], str]:
    """Front matter and the rest; front matter that is no YAML mapping is dropped."""
    match = FRONT.match(text)
    if match is None:
        return {}, text
    try:
        front = yaml.safe_load(match[1])
    except yaml.YAMLError:
        front = None
    return (front if isinstance(front, dict) else {}), text[match.end() :]


def front_matter(datasets: Sequence[CardDataset]) -> dict[str, Any]:
    """What the Hub and `load_dataset(repo, name)` go by."""
    kinds = [kind for kind in MediaKind if any(kind in dataset.kinds for dataset in datasets)]
    return {
        "tags": list(TAGS),
        "task_categories": [TASKS[kind] for kind in kinds] or ["text-generation"],
        "size_categories": [size_category(sum(dataset.rows for dataset in datasets))],
        "configs": [
            {"config_name": item.name, "data_files": [{"split": "train", "path": item.data_files}]} for item in datasets
        ],
        "dataset_info": [
            {
                "config_name": item.name,
                **item.features,
                "splits": [{"name": "train", "num_bytes": item.parquet_bytes, "num_examples": item.rows}],
                "download_size": item.parquet_bytes,
                "dataset_size": item.parquet_bytes,
            }
            for item in datasets
        ],
    }


def size_category(rows: int) -> str:
    """The Hub's word for a number of rows."""
    return next((word for limit, word in SIZES if rows < limit), "1M<n<10M" if rows < 10_000_000 else "n>10M")


def body(repo: str, datasets: Sequence[CardDataset], has_files: bool) -> str:
    """The part that is rewritten with each push."""
    title = repo.rpartition("/")[2]
    lines = [f"# {title}", "", "Multimodal conversations in sharegpt form, checked for LLaMA-Factory 0.9.5.", ""]
    lines += ["| config | rows | media files | modalities |", "|---|---|---|---|"]
    for item in datasets:
        words = ", ".join(item.kinds) or "text"
        lines.append(f"| `{item.name}` | {item.rows} | {item.media} | {words} |")
    lines += ["", *llamafactory_part(repo, datasets, has_files), *datasets_part(repo, datasets)]
    return "\n".join(lines) + "\n"


def llamafactory_part(repo: str, datasets: Sequence[CardDataset], has_files: bool) -> list[str]:
    """How to train on it."""
    direct = [item.name for item in datasets if MediaKind.VIDEO not in item.kinds]
    videos = [item.name for item in datasets if MediaKind.VIDEO in item.kinds]
    lines = ["## Train with LLaMA-Factory", ""]
    if direct:
        lines += ["Straight from the Hub; the media come with the rows:", "", "```yaml"]
        lines += [f"dataset_dir: REMOTE:{repo}", f"dataset: {','.join(direct)}", "```", ""]
    if has_files:
        names = ", ".join(f"`{name}`" for name in videos)
        lines += [
            f"Not so {names}: LLaMA-Factory 0.9.5 opens videos by path and cannot train from videos inside parquet.",
            "`files/` holds every dataset of this repository as an ordinary dataset folder with plain media files:",
            "",
            "```bash",
            f"hf download {repo} --repo-type dataset --include 'files/*' --local-dir {repo.rpartition('/')[2]}",
            "```",
            "",
            "```yaml",
            f"dataset_dir: {repo.rpartition('/')[2]}/files",
            f"media_dir: {repo.rpartition('/')[2]}/files/media",
            f"dataset: {','.join(item.name for item in datasets)}",
            "```",
            "",
        ]
    return lines


def datasets_part(repo: str, datasets: Sequence[CardDataset]) -> list[str]:
    """How to load it in Python."""
    kinds = [kind for kind in MediaKind if any(kind in item.kinds for item in datasets)]
    first = next((item for item in datasets if item.kinds), datasets[0])
    lines = ["## Load with datasets", "", "```python", "from datasets import load_dataset", ""]
    lines += [f'rows = load_dataset("{repo}", "{first.name}", split="train")', "```", ""]
    if kinds:
        lines += ["Media come undecoded, byte for byte as they were. To decode a column:", "", "```python"]
        lines += [f"from datasets import {', '.join(['List', *(kind.value.title() for kind in kinds)])}", ""]
        lines += [f'rows = rows.cast_column("{kind.column}", List({kind.value.title()}()))' for kind in first.kinds]
        lines += ["```", ""]
    return lines
