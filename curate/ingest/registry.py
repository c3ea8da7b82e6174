"""The formats that `curate build` and `curate convert` read: one literal table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from curate.ingest import (
    alpaca,
    captions,
    coco,
    csv,
    folder,
    hf_folder,
    hub,
    jsonl,
    label_studio,
    llava,
    minicpm,
    ms_swift,
    openai,
    parquet,
    qwen,
    sharegpt,
    sniffs,
    subtitles,
    webdataset,
)
from curate.ingest.raw import Intake, RawItem
from curate.ingest.sniffs import Sight


def nothing(intake: Intake) -> Sequence[str]:
    """All is read."""
    return ()


@dataclass(frozen=True, slots=True)
class Format:
    """A raw format.

    read: its reader. fits: whether a source looks like it. words: what it is. columns: our fields that the recipe may
    map to the source's. folder: whether it is a folder's, None where it may be either. unread: what of a source is
    not read, as it was not asked for. inside: whether rows can hold media, and not name them only.
    """

    name: str
    words: str
    read: Callable[[Intake], Iterator[RawItem]]
    fits: Callable[[Sight], bool]
    columns: tuple[str, ...] = ()
    folder: bool | None = False
    unread: Callable[[Intake], Sequence[str]] = nothing
    inside: bool = True


TABLE = tuple(dict.fromkeys((*captions.COLUMNS, *alpaca.COLUMNS, *llava.COLUMNS, *sharegpt.COLUMNS)))
FORMATS = (
    Format("alpaca", "instruction, input, output, history", alpaca.read, sniffs.alpaca, alpaca.COLUMNS, None),
    Format("arrow", "Arrow tables", parquet.read, sniffs.arrow, TABLE, None),
    Format("coco", "COCO captions: images and annotations", coco.read, sniffs.coco, inside=False),
    Format("csv", "comma-separated columns of media and captions", csv.read, sniffs.csv, captions.COLUMNS, None),
    Format(
        "datasets", "a datasets folder, or owner/name on the Hub", hub.read, sniffs.datasets, TABLE, True, hub.unread
    ),
    Format(
        "folder", "media with .txt or .json beside each", folder.read, sniffs.folder, folder.COLUMNS, True, inside=False
    ),
    Format(
        "hf-folder",
        "ImageFolder, AudioFolder, VideoFolder",
        hf_folder.read,
        sniffs.hf_folder,
        hf_folder.COLUMNS,
        True,
        hf_folder.unread,
        False,
    ),
    Format("json", "JSON with file_name and messages or caption", jsonl.read, sniffs.json, captions.COLUMNS, None),
    Format(
        "jsonl", "JSON lines with file_name and messages or caption", jsonl.read, sniffs.jsonl, captions.COLUMNS, None
    ),
    Format(
        "label-studio", "Label Studio's JSON export", label_studio.read, sniffs.label_studio, label_studio.COLUMNS, None
    ),
    Format("llava", "image and conversations of from and value", llava.read, sniffs.llava, llava.COLUMNS, None),
    Format(
        "minicpm", "image and conversations of role and content", minicpm.read, sniffs.minicpm, minicpm.COLUMNS, None
    ),
    Format(
        "ms-swift", "messages, images as paths, objects, base64", ms_swift.read, sniffs.ms_swift, ms_swift.COLUMNS, None
    ),
    Format("openai", "messages with parts, tool_calls", openai.read, sniffs.openai, openai.COLUMNS, None),
    Format("parquet", "Parquet tables, media inside or as paths", parquet.read, sniffs.parquet, TABLE, None),
    Format("qwen", "messages with parts of type image, video, audio", qwen.read, sniffs.qwen, qwen.COLUMNS, None),
    Format("sharegpt", "LLaMA-Factory's sharegpt", sharegpt.read, sniffs.sharegpt, sharegpt.COLUMNS, None),
    Format("sharegpt4v", "ShareGPT4V's JSON, which is LLaVA's", llava.read, sniffs.never, llava.COLUMNS, None),
    Format(
        "subtitles", ".srt or .vtt beside videos or sounds", subtitles.read, sniffs.subtitles, folder=None, inside=False
    ),
    Format("tsv", "tab-separated columns of media and captions", csv.read, sniffs.tsv, captions.COLUMNS, None),
    Format(
        "webdataset", "tar shards of KEY.jpg and KEY.txt or KEY.json", webdataset.read, sniffs.webdataset, TABLE, None
    ),
)
BY_NAME: Mapping[str, Format] = {item.name: item for item in FORMATS}
