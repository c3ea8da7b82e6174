"""What is known of a row beside its canonical columns: computed only where a step or a filter names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import polars as pl

from curate.steps.language import MODULE, languages
from validators.errors import UsageFault
from validators.model import MediaKind, Role
from validators.probes.cache import ProbeCache

if TYPE_CHECKING:
    from curate.steps.step import Surroundings
    from validators.probes.facts import MediaFacts

CONTENT = pl.element().struct.field("content")
ROLE = pl.element().struct.field("role")
TAG = "|".join(kind.tag for kind in MediaKind)


@dataclass(frozen=True, slots=True)
class Column:
    """A derived column: what it means, its type, and how it is made from a frame of canonical rows."""

    name: str
    words: str
    make: Callable[[pl.DataFrame, Surroundings], pl.Series]
    module: str = ""
    """What must be installed for it beside the core, as the extra `language`."""


def installed(where: str, names: Iterable[str]) -> None:
    """UsageFault for a column whose library is missing."""
    for column in (COLUMNS[name] for name in names if name in COLUMNS):
        if column.module and find_spec(column.module) is None:
            cure = 'install "mmcurate[language]"'
            raise UsageFault(where, f"{column.name} needs {column.module}", "that library beside mmcurate", cure)


def with_columns(rows: pl.DataFrame, names: Iterable[str], around: Surroundings) -> pl.DataFrame:
    """The frame with these columns beside its own."""
    wanted = [COLUMNS[name] for name in dict.fromkeys(names) if name in COLUMNS]
    return rows.with_columns([column.make(rows, around).alias(column.name) for column in wanted])


def text(rows: pl.DataFrame, around: Surroundings) -> pl.Series:
    """All messages, a line break between them."""
    return rows.select(pl.col("messages").list.eval(CONTENT).list.join("\n")).to_series()


def spoken(role: str, last: bool) -> Callable[[pl.DataFrame, Surroundings], pl.Series]:
    """The first or last message of a role."""

    def make(rows: pl.DataFrame, around: Surroundings) -> pl.Series:
        said = pl.col("messages").list.eval(CONTENT.filter(ROLE.eq(role)))
        return rows.select((said.list.last() if last else said.list.first()).fill_null("")).to_series()

    return make


def length(of: Callable[[pl.DataFrame, Surroundings], pl.Series]) -> Callable[[pl.DataFrame, Surroundings], pl.Series]:
    """Characters of another column."""
    return lambda rows, around: of(rows, around).str.len_chars()


def count(kind: MediaKind) -> Callable[[pl.DataFrame, Surroundings], pl.Series]:
    """Entries of one modality."""
    return lambda rows, around: rows[kind.column].list.len()


def media(rows: pl.DataFrame, around: Surroundings) -> pl.Series:
    """All paths of a row."""
    return rows.select(pl.concat_list([kind.column for kind in MediaKind])).to_series()


def kinds(rows: pl.DataFrame, around: Surroundings) -> pl.Series:
    """`image`, `image+audio`, `text`: the modalities of a row."""
    present = [pl.when(pl.col(kind.column).list.len() > 0).then(pl.lit(kind.value)) for kind in MediaKind]
    joined = pl.concat_str(present, separator="+", ignore_nulls=True)
    return rows.select(pl.when(joined == "").then(pl.lit("text")).otherwise(joined)).to_series()


def fact(
    value: Callable[[MediaFacts], float | None], total: Callable[[list[float]], float], *of: MediaKind
) -> Callable[[pl.DataFrame, Surroundings], pl.Series]:
    """A number over a row's media of these kinds; null where it has none, or where no header tells."""

    def make(rows: pl.DataFrame, around: Surroundings) -> pl.Series:
        result = []
        for paths in rows.select([kind.column for kind in of]).iter_rows():
            known = [
                value(probes().facts(kind, path, around.media_root))
                for kind, entries in zip(of, paths, strict=True)
                for path in entries or ()
            ]
            numbers = [number for number in known if number]
            result.append(total(numbers) if numbers else None)
        return pl.Series(result, dtype=pl.Float64)

    return make


def tokens(rows: pl.DataFrame, around: Surroundings) -> pl.Series:
    """The row's length for the trainer; null where it cannot be told."""
    if around.counting is None:
        raise UsageFault("tokens", "nothing says what counts them", "`trainer:` in the recipe, a train yaml")
    known = {budget.row: budget.tokens for budget in around.counting.budgets(rows) if budget.exact}
    return pl.Series([known.get(position) for position in range(len(rows))], dtype=pl.Int64)


def language(rows: pl.DataFrame, around: Surroundings) -> pl.Series:
    """Of what user and assistant say, without placeholders."""
    said = pl.col("messages").list.eval(CONTENT.filter(ROLE.is_in([Role.USER.value, Role.ASSISTANT.value])))
    return languages(rows.select(said.list.join("\n").str.replace_all(TAG, " ")).to_series())


def answer_language(rows: pl.DataFrame, around: Surroundings) -> pl.Series:
    """Of `answer`, without placeholders."""
    return languages(ANSWER(rows, around).str.replace_all(TAG, " "))


@lru_cache(maxsize=1)
def probes() -> ProbeCache:
    """Each file's header is read once a build."""
    return ProbeCache()


def aspect(facts: MediaFacts) -> float | None:
    """Long side by short side, at least 1."""
    short = min(facts.width, facts.height)
    return max(facts.width, facts.height) / short if short else None


QUESTION, ANSWER = spoken("user", last=False), spoken("assistant", last=True)
PICTURED = (MediaKind.IMAGE, MediaKind.VIDEO)
TIMED = (MediaKind.VIDEO, MediaKind.AUDIO)
COLUMNS: Mapping[str, Column] = {
    column.name: column
    for column in (
        Column("text", "all messages, a line break between them", text),
        Column("question", "the first message of the user", QUESTION),
        Column("answer", "the last message of the assistant", ANSWER),
        Column("text_chars", "characters of `text`", length(text)),
        Column("question_chars", "characters of `question`", length(QUESTION)),
        Column("answer_chars", "characters of `answer`", length(ANSWER)),
        Column("turns", "messages, a system message included", lambda rows, around: rows["messages"].list.len()),
        Column("n_images", "entries in images", count(MediaKind.IMAGE)),
        Column("n_videos", "entries in videos", count(MediaKind.VIDEO)),
        Column("n_audios", "entries in audios", count(MediaKind.AUDIO)),
        Column("media", "all media paths, as a list", media),
        Column("kinds", "the modalities: `image`, `video`, `image+audio`, `text`", kinds),
        Column("tokens", "the row's length for the trainer, media included, before truncation", tokens),
        Column(
            "language",
            "ISO 639-1 code of what user and assistant say; null where that is too little to tell, or no language; "
            "needs `mmcurate[language]`",
            language,
            MODULE,
        ),
        Column("answer_language", "the same of `answer`", answer_language, MODULE),
        Column("width", "pixels, of the narrowest image or video", fact(lambda item: item.width, min, *PICTURED)),
        Column("height", "pixels, of the lowest image or video", fact(lambda item: item.height, min, *PICTURED)),
        Column("aspect", "long side by short side, of the slimmest image or video", fact(aspect, max, *PICTURED)),
        Column("duration", "seconds of video and sound in all", fact(lambda item: item.duration, sum, *TIMED)),
        Column("fps", "frames a second, of the slowest video", fact(lambda item: item.fps, min, MediaKind.VIDEO)),
        Column("rate", "samples a second, of the lowest sound", fact(lambda item: item.rate, min, MediaKind.AUDIO)),
    )
}
