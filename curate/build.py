"""Raw rows to canonical rows: media found, tags in place, identity given; all that is lost goes to the ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.ingest import csv, folder, jsonl, llava
from curate.ingest.raw import RawItem, Turn
from curate.recipe import DatasetRecipe, Recipe, Source
from validators.model import MediaKind
from validators.probes.cache import is_outside


@dataclass(frozen=True, slots=True)
class Row:
    """A conversation in canonical form; media paths run from the media root."""

    id: str
    turns: tuple[Turn, ...]
    media: tuple[tuple[MediaKind, str], ...]
    source: str

    def paths(self, kind: MediaKind) -> list[str]:
        """The paths of one modality, in order."""
        return [path for known, path in self.media if known is kind]

    @staticmethod
    def from_canonical(value: Mapping[str, Any]) -> Row:
        """The row back from the Arrow dataset."""
        turns = tuple(Turn(message["role"], message["content"]) for message in value["messages"])
        media = tuple((kind, path) for kind in MediaKind for path in value[kind.column])
        return Row(value["id"], turns, media, value["source"])

    def canonical(self) -> dict[str, object]:
        """The row of the Arrow dataset."""
        return {
            "id": self.id,
            "messages": [{"role": turn.role, "content": turn.content} for turn in self.turns],
            **{kind.column: self.paths(kind) for kind in MediaKind},
            "system": None,
            "tools": None,
            "split": None,
            "source": self.source,
            "meta": None,
        }


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A row that was dropped or changed, and why."""

    dataset: str
    source: str
    row: int
    id: str | None
    action: str
    reason: str


def read_source(source: Source, media_root: Path) -> Iterator[RawItem]:
    """The raw rows of one source."""
    match source.format:
        case "csv":
            return csv.read(source.path)
        case "jsonl":
            return jsonl.read(source.path)
        case "llava":
            return llava.read(source.path)
        case _:
            return folder.read(source.path, media_root)


def build_rows(recipe: Recipe, dataset: DatasetRecipe) -> Iterator[Row | LedgerEntry]:
    """The dataset's rows in the order of its sources, with ledger entries between them."""
    seen: dict[str, str] = {}
    for source in dataset.sources:
        name = (
            source.path.relative_to(recipe.file.parent).as_posix() if within(source.path, recipe) else source.path.name
        )
        for item in read_source(source, recipe.media_root):
            place = f"{name}:{item.row}"
            problem = item.problem or text_problem(item) or media_problem(item, recipe.media_root)
            if problem:
                yield LedgerEntry(dataset.name, name, item.row, None, "dropped", problem)
                continue
            turns, change = conversation(item, recipe, dataset)
            identity = identify(turns, item.media)
            if identity in seen:
                yield LedgerEntry(
                    dataset.name, name, item.row, identity, "dropped", f"the same row as {seen[identity]}"
                )
                continue
            if problem := form_problem(turns, item.media):
                yield LedgerEntry(dataset.name, name, item.row, identity, "dropped", problem)
                continue
            seen[identity] = place
            if change:
                yield LedgerEntry(dataset.name, name, item.row, identity, "changed", change)
            yield Row(identity, turns, item.media, place)


def within(path: Path, recipe: Recipe) -> bool:
    """Whether a source lies below the recipe's folder."""
    return recipe.file.parent in path.parents


def text_problem(item: RawItem) -> str:
    """Why one of the row's texts cannot be stored: JSON can spell what neither UTF-8 nor a path can hold."""
    for _, path in item.media:
        if "\0" in path or not is_unicode(path):
            return f"media path {path!r} holds characters that no path can"
    for number, turn in enumerate(item.turns):
        if not is_unicode(turn.content):
            return f"message {number} holds half of a surrogate pair, which is no character"
    if item.caption is not None and not is_unicode(item.caption):
        return "the caption holds half of a surrogate pair, which is no character"
    return ""


def is_unicode(text: str) -> bool:
    """Whether a text has a UTF-8 form."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def media_problem(item: RawItem, media_root: Path) -> str:
    """Why one of the row's files cannot be used."""
    for _, path in item.media:
        if Path(path).is_absolute() or is_outside(path, media_root):
            return f"{path} leads outside the media root"
        file = media_root / path
        if not file.is_file():
            return f"{path} not found under the media root"
        if file.stat().st_size == 0:
            return f"{path} is empty"
    return ""


def conversation(item: RawItem, recipe: Recipe, dataset: DatasetRecipe) -> tuple[tuple[Turn, ...], str]:
    """The row's turns with a question for a bare caption, a system turn and a tag for each medium; what was changed."""
    change = ""
    if item.caption is not None:
        turns: tuple[Turn, ...] = (Turn("user", ask(item, recipe)), Turn("assistant", item.caption))
    else:
        turns = item.turns
        missing = missing_tags(turns, item.media)
        first = next((number for number, turn in enumerate(turns) if turn.role == "user"), None)
        if missing and first is not None:
            turns = (*turns[:first], Turn("user", missing + turns[first].content), *turns[first + 1 :])
            change = f"put {missing} in front of the first question"
    if dataset.system is not None and turns and turns[0].role != "system":
        turns = (Turn("system", dataset.system), *turns)
    return turns, change


def ask(item: RawItem, recipe: Recipe) -> str:
    """Tags and a question for a bare caption; the choice depends on the row's content alone."""
    tags = "".join(kind.tag for kind, _ in item.media)
    choices = recipe.questions[item.media[0][0]] if item.media else ("",)
    digest = hashlib.sha256(json.dumps([item.media, item.caption]).encode()).digest()
    return tags + choices[int.from_bytes(digest[:8], "big") % len(choices)]


def missing_tags(turns: Sequence[Turn], media: Sequence[tuple[MediaKind, str]]) -> str:
    """The tags that the text lacks, in the order of the media."""
    text = "".join(turn.content for turn in turns if turn.role != "system")
    missing = ""
    for kind in MediaKind:
        lacking = sum(known is kind for known, _ in media) - text.count(kind.tag)
        missing += kind.tag * max(0, lacking)
    return missing


def form_problem(turns: Sequence[Turn], media: Sequence[tuple[MediaKind, str]]) -> str:
    """Why the trainer would refuse the row, for what cannot be mended here."""
    spoken = turns[1:] if turns and turns[0].role == "system" else turns
    expected = ["user", "assistant"] * (len(spoken) // 2)
    if not spoken or [turn.role for turn in spoken] != expected:
        return "roles do not alternate from user to assistant"
    text = "".join(turn.content for turn in spoken)
    for kind in MediaKind:
        tags, entries = text.count(kind.tag), sum(known is kind for known, _ in media)
        if tags != entries:
            return f"{tags} {kind.tag} for {entries} {kind.column}"
    return ""


def identify(turns: Sequence[Turn], media: Sequence[tuple[MediaKind, str]]) -> str:
    """A stable id: the hash of what the row says and shows."""
    content = [[(turn.role, turn.content) for turn in turns], media]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()[:16]
