"""Raw rows to canonical rows: media found, tags in place, identity given; all that is lost goes to the ledger."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from curate.ingest.given import beneath
from curate.ingest.raw import Blob, Intake, NoUse, RawItem, Remote, Turn
from curate.ingest.registry import BY_NAME
from curate.media.keeper import Keeper, Mode, is_unicode
from curate.prompts.template import Fields, Prompts, Template, choose
from curate.recipe import DatasetRecipe, Recipe, Source
from validators.errors import UsageFault
from validators.model import MediaKind, Role

PEEK_ROWS = 16
SAME = "the same row as"
QUESTIONS = (Role.USER, Role.OBSERVATION)
ANSWERS = (Role.ASSISTANT, Role.FUNCTION)
"""The roles that the trainer takes at even and at odd places (llamafactory 0.9.5, data/converter.py)."""


@dataclass(frozen=True, slots=True)
class Row:
    """A conversation in canonical form; media paths run from the media root. tools and meta are JSON text."""

    id: str
    turns: tuple[Turn, ...]
    media: tuple[tuple[MediaKind, str], ...]
    source: str
    tools: str | None = None
    split: str | None = None
    meta: str | None = None

    def paths(self, kind: MediaKind) -> list[str]:
        """The paths of one modality, in order."""
        return [path for known, path in self.media if known is kind]

    @staticmethod
    def from_canonical(value: Mapping[str, Any]) -> Row:
        """The row back from the Arrow dataset."""
        turns = tuple(Turn(message["role"], message["content"]) for message in value["messages"])
        media = tuple((kind, path) for kind in MediaKind for path in value[kind.column])
        return Row(value["id"], turns, media, value["source"], value["tools"], value["split"], value["meta"])

    def canonical(self) -> dict[str, object]:
        """The row of the Arrow dataset."""
        return {
            "id": self.id,
            "messages": [{"role": turn.role, "content": turn.content} for turn in self.turns],
            **{kind.column: self.paths(kind) for kind in MediaKind},
            "system": None,
            "tools": self.tools,
            "split": self.split,
            "source": self.source,
            "meta": self.meta,
        }


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A row that was dropped or changed, and why; without a row, what a source's rows say and the build does not."""

    dataset: str
    source: str
    row: int | None
    id: str | None
    action: str
    reason: str


def read_source(source: Source, media_root: Path) -> Iterator[RawItem]:
    """The raw rows of one source; paths start where the source's media_dir says."""
    folder = source.options.media_dir
    try:
        for item in BY_NAME[source.format].read(Intake(source.path, media_root, source.options)):
            if not folder:
                yield item
            else:
                yield replace(item, media=tuple((kind, beneath(folder, given)) for kind, given in item.media))
    except OSError as error:
        where = error.filename or source.path
        raise UsageFault(where, error.strerror or str(error), "a file that can be read") from error


def mode_of(recipe: Recipe) -> Mode:
    """What becomes of media: as the recipe says, else `store` if a source's first rows hold some, else `reference`.

    UsageFault where that leaves steps that make media no place for them.
    """
    mode = recipe.media or mode_of_sources(recipe)
    makers = [named.name for one in recipe.datasets for named in one.steps if getattr(named.step, "makes_media", False)]
    if mode is Mode.REFERENCE and makers:
        found = f"{makers[0]}: frames makes files, and with media: reference the build only names them"
        raise UsageFault(recipe.file, found, "media: store, copy or hardlink")
    return mode


def mode_of_sources(recipe: Recipe) -> Mode:
    """`store` if a source's first rows hold media, else `reference`."""
    for dataset in recipe.datasets:
        for source in dataset.sources:
            if not BY_NAME[source.format].inside:
                continue
            for item in islice(read_source(source, recipe.media_root), PEEK_ROWS):
                if any(
                    isinstance(given, Blob) or (recipe.fetch and isinstance(given, Remote)) for _, given in item.media
                ):
                    return Mode.STORE
    return Mode.REFERENCE


def build_rows(
    recipe: Recipe, dataset: DatasetRecipe, keeper: Keeper, unique: bool = True
) -> Iterator[Row | LedgerEntry]:
    """The dataset's rows in the order of its sources, with ledger entries between them; each once if `unique`."""
    seen: dict[str, str] = {}
    for source in dataset.sources:
        left: Counter[str] = Counter()
        file, name = source.path, source_name(source.path, recipe)
        items = read_source(source, recipe.media_root)
        for item in keeper.fetcher.ahead(items) if keeper.fetcher is not None else items:
            if item.source != file:
                file, name = item.source, source_name(item.source, recipe)
            place = f"{name}:{item.row}"
            try:
                usable(item)
                kept = [keeper.keep(kind, given, name) for kind, given in item.media]
                media = tuple((kind, one.path) for (kind, _), one in zip(item.media, kept, strict=True))
                turns, change = conversation(item, media, recipe.questions, dataset.prompts, name)
            except NoUse as reason:
                yield LedgerEntry(dataset.name, name, item.row, None, "dropped", str(reason))
                continue
            identity = identify(turns, media, item.tools)
            if unique and identity in seen:
                yield LedgerEntry(dataset.name, name, item.row, identity, "dropped", f"{SAME} {seen[identity]}")
                continue
            if problem := form_problem(turns, media):
                yield LedgerEntry(dataset.name, name, item.row, identity, "dropped", problem)
                continue
            seen[identity] = place
            if changes := [one.words for one in kept if one.words] + [change] * bool(change):
                yield LedgerEntry(dataset.name, name, item.row, identity, "changed", "; ".join(changes))
            left.update(item.left)
            yield Row(identity, turns, media, place, item.tools, item.split, item.meta)
        unread = BY_NAME[source.format].unread(Intake(source.path, recipe.media_root, source.options))
        parts = [not_carried(left) if left else "", f"not read: {', '.join(unread)}" if unread else ""]
        parts.append(keeper.fetcher.told() if keeper.fetcher is not None else "")
        if words := "; ".join(filter(None, parts)):
            yield LedgerEntry(dataset.name, source_name(source.path, recipe), None, None, "left", words)


def not_carried(left: Mapping[str, int]) -> str:
    """The fields that have no place in the canonical form, with the number of rows that have them."""
    return f"fields not carried over: {counted(left)}"


def counted(names: Mapping[str, int]) -> str:
    """Names with their numbers of rows."""
    return ", ".join(f"{name} ({count} {'row' if count == 1 else 'rows'})" for name, count in names.items())


def source_name(path: Path, recipe: Recipe) -> str:
    """A source's name in the ledger: its path from the recipe, or its file name where it lies elsewhere."""
    home = recipe.file.parent
    return path.relative_to(home).as_posix() if home in path.parents else path.name


def usable(item: RawItem) -> None:
    """NoUse for a row that its reader gave up, or whose texts JSON can spell and UTF-8 cannot."""
    if item.problem:
        raise NoUse(item.problem)
    for number, turn in enumerate(item.turns):
        if not is_unicode(turn.content):
            raise NoUse(f"message {number} holds half of a surrogate pair, which is no character")
    for name, text in (("caption", item.caption), ("tools column", item.tools), ("meta column", item.meta)):
        if text is not None and not is_unicode(text):
            raise NoUse(f"the {name} holds half of a surrogate pair, which is no character")


def conversation(
    item: RawItem,
    media: Sequence[tuple[MediaKind, str]],
    questions: Mapping[MediaKind, Sequence[Template]],
    prompts: Prompts,
    source: str,
) -> tuple[tuple[Turn, ...], str]:
    """The row's turns with a question for a bare caption, a system turn and a tag for each medium; what was changed.

    questions: for kinds that the dataset's own prompts leave out. source: its name in the ledger. NoUse where a prompt
    has a place for what the row lacks.
    """
    change = ""
    fields = Fields(source, item.split, item.meta)
    if item.caption is not None:
        tags = "".join(kind.tag for kind, _ in media)
        choices = prompts.questions.get(media[0][0]) or questions[media[0][0]]
        asked = choose(choices, prompts.seed, "question", [media, item.caption]).filled(fields)
        turns: tuple[Turn, ...] = (Turn("user", tags + asked), Turn("assistant", item.caption))
    else:
        turns = item.turns
        missing = missing_tags(turns, media)
        first = next((number for number, turn in enumerate(turns) if turn.role == "user"), None)
        if missing and first is not None:
            turns = (*turns[:first], Turn("user", missing + turns[first].content), *turns[first + 1 :])
            change = f"put {missing} in front of the first question"
    if prompts.system and turns and turns[0].role != "system":
        spoken = [(turn.role, turn.content) for turn in item.turns]
        said = choose(prompts.system, prompts.seed, "system", [media, item.caption, spoken]).filled(fields)
        turns = (Turn("system", said), *turns)
    return turns, change


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
    fitting = all(turn.role in (QUESTIONS, ANSWERS)[number % 2] for number, turn in enumerate(spoken))
    if not spoken or len(spoken) % 2 or not fitting:
        return "roles do not alternate from user to assistant"
    text = "".join(turn.content for turn in spoken)
    for kind in MediaKind:
        tags, entries = text.count(kind.tag), sum(known is kind for known, _ in media)
        if tags != entries:
            return f"{tags} {kind.tag} for {entries} {kind.column}"
    return ""


def identify(turns: Sequence[Turn], media: Sequence[tuple[MediaKind, str]], tools: str | None = None) -> str:
    """A stable id: the hash of what the row says and shows."""
    content: list[object] = [[(turn.role, turn.content) for turn in turns], media]
    if tools is not None:
        content.append(tools)
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()[:16]
