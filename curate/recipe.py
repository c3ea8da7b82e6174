"""A build recipe: which raw sources become which datasets, and where."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from curate.forms import names
from curate.ingest.detect import detect
from curate.ingest.hub import HUB_NAME
from curate.ingest.places import ALL
from curate.ingest.raw import Options
from curate.ingest.registry import BY_NAME, Format
from curate.ingest.subtitles import ROWS, TRANSCRIPT
from curate.media.keeper import FOLDER, Mode
from curate.media.uniform import MONO, MP4, Uniform
from curate.prompts.read import SYSTEM, read_templates
from curate.prompts.template import Prompts, Template, literal
from curate.recipe_form import (
    DATASET_KEYS,
    MIX_KEYS,
    NAME,
    OUTPUT_KEYS,
    PROMPT_KEYS,
    QUESTION_KEYS,
    RECIPE_KEYS,
    SOURCE_KEYS,
    TEXT_KEYS,
    UNIFORM_KEYS,
)
from curate.steps.mix import Mix
from curate.steps.registry import read_steps, seed
from curate.steps.run import Named
from curate.steps.split import Split
from curate.writers.layout import ARROW, Kind, Layout
from validators.errors import UsageFault
from validators.limit import Limit, parse_limit
from validators.model import MediaKind
from validators.settings import read_yaml

QUESTIONS: Mapping[MediaKind, tuple[Template, ...]] = {
    MediaKind.IMAGE: (literal("Describe this image."),),
    MediaKind.VIDEO: (literal("Describe this video."),),
    MediaKind.AUDIO: (literal("Describe this sound."),),
}


@dataclass(frozen=True, slots=True)
class Source:
    """One raw source: a file, a folder, or a dataset on the Hub. found: whether its looks told the format."""

    format: str
    path: Path
    options: Options = field(default_factory=Options)
    found: bool = False


@dataclass(frozen=True, slots=True)
class DatasetRecipe:
    """One dataset to build."""

    name: str
    sources: tuple[Source, ...]
    prompts: Prompts = field(default_factory=Prompts)
    steps: tuple[Named, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what it becomes: itself, and the parts that a split makes."""
        splits = [named.step for named in self.steps if isinstance(named.step, Split)]
        return (self.name, *(f"{self.name}_{part}" for split in splits for part, _ in split.shares))


@dataclass(frozen=True, slots=True)
class MixRecipe:
    """One dataset out of others."""

    name: str
    mix: Mix


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole recipe; paths are absolute. `questions` are asked of captions that come without one, in datasets without
    own prompts for them.

    media: what becomes of media files, None where the sources decide. fetch: whether addresses are fetched.
    uniform: how stored media are changed, None where they are not.
    """

    file: Path
    target: Path
    media_root: Path
    datasets: tuple[DatasetRecipe, ...]
    questions: Mapping[MediaKind, tuple[Template, ...]]
    media: Mode | None = None
    fetch: bool = False
    uniform: Uniform | None = None
    trainer: Path | None = None
    """The train yaml by which tokens are counted."""
    mixes: tuple[MixRecipe, ...] = ()
    layout: Layout = field(default_factory=Layout)
    """The files that the trainer reads."""
    max_lost: Limit | None = None
    """How many rows of a source, and of a dataset, may be lost while they are read."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of all datasets that come of it."""
        return (*(name for each in self.datasets for name in each.outputs), *(each.name for each in self.mixes))


def read_recipe(path: Path, target: Path | None = None) -> Recipe:
    """Read and check a recipe; UsageFault names the key, what was found and what was expected."""
    raw = read_yaml(path)
    home = path.resolve().parent
    known(path, "recipe", raw, names(RECIPE_KEYS))
    if raw.get("version") != 1 or isinstance(raw["version"], bool):
        raise UsageFault(path, f"version {raw.get('version')!r}", "version: 1")
    out = (target or home / text(path, "target", raw.get("target"))).resolve()
    media_root = (home / text(path, "media_root", raw.get("media_root", "."))).resolve()
    if not media_root.is_dir():
        raise UsageFault(path, f"media_root {media_root} is no folder", "the folder that media paths start from")
    # the target is replaced as a whole at each build
    if out in (media_root, home, *media_root.parents, *home.parents):
        raise UsageFault(path, f"target {out} holds the sources", "a folder of its own for the output")
    entries = items(path, "datasets", raw.get("datasets"))
    datasets = tuple(dataset(path, home, number, entry) for number, entry in enumerate(entries))
    for each in (source for item in datasets for source in item.sources):
        # what a build writes would be read by the next one
        if each.path.is_dir() and out.is_relative_to(each.path.resolve()):
            raise UsageFault(path, f"target {out} lies in the source {each.path}", "a folder outside the sources")
    mixes = tuple(
        mix_recipe(path, number, item, [name for each in datasets for name in each.outputs])
        for number, item in enumerate(items(path, "mixes", raw["mixes"]) if "mixes" in raw else [])
    )
    made = [name for item in datasets for name in item.outputs] + [item.name for item in mixes]
    if twice := next((name for name in made if made.count(name) > 1), None):
        raise UsageFault(path, f"two datasets named {twice!r}", "one entry a name")
    layout = read_layout(path, raw.get("output", Kind.JSON))
    if layout.in_folder and (taken := next((name for name in made if name in (ARROW, FOLDER)), None)):
        raise UsageFault(path, f"a dataset named {taken}", f"another name: {taken}/ is a folder of each build")
    uniform = normalise(path, raw.get("normalise"))
    media = None if raw.get("media") is None else Mode(one_of(path, "media", raw["media"], tuple(Mode)))
    if uniform is not None and media not in (None, Mode.STORE):
        raise UsageFault(path, f"normalise with media: {media}", "media: store, which keeps the originals as well")
    return Recipe(
        path.resolve(),
        out,
        media_root,
        datasets,
        questions(path, raw.get("questions")),
        media if uniform is None else Mode.STORE,
        flag(path, "fetch", raw.get("fetch", False)),
        uniform,
        train_yaml(path, home, raw.get("trainer")),
        mixes,
        layout,
        None if raw.get("max_lost") is None else parse_limit(raw["max_lost"], f"{path}: max_lost"),
    )


def train_yaml(path: Path, home: Path, raw: object) -> Path | None:
    """The train yaml under `trainer`."""
    if raw is None:
        return None
    file = home / text(path, "trainer", raw)
    if not file.is_file():
        raise UsageFault(path, f"trainer: {file} not found", "a train yaml")
    return file


def mix_recipe(path: Path, number: int, raw: object, known_names: Sequence[str]) -> MixRecipe:
    """One entry under `mixes`."""
    where = f"mixes[{number}]"
    if not isinstance(raw, Mapping):
        raise UsageFault(path, f"{where} is {raw!r}", "a mapping with name and of")
    known(path, where, raw, names(MIX_KEYS))
    name = dataset_name(path, where, raw.get("name"))
    weights = raw.get("of")
    if not isinstance(weights, Mapping) or not weights:
        raise UsageFault(path, f"{where}.of is {weights!r}", "datasets and their weights: {a: 2, b: 1}")
    for each, weight in weights.items():
        one_of(path, f"{where}.of", each, known_names)
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 < weight < math.inf:
            raise UsageFault(path, f"{where}.of.{each} is {weight!r}", "a weight above 0")
    totals = [key for key in ("rows", "tokens") if key in raw]
    if len(totals) > 1:
        raise UsageFault(path, f"{where} has rows and tokens", "one of them")
    total = raw[totals[0]] if totals else None
    if totals and (not isinstance(total, int) or isinstance(total, bool) or total < 1):
        raise UsageFault(path, f"{where}.{totals[0]} is {total!r}", "a whole number, 1 or more")
    return MixRecipe(
        name,
        Mix(
            tuple((str(each), float(weight)) for each, weight in weights.items()),
            total,
            "tokens" if totals == ["tokens"] else None,
            flag(path, f"{where}.repeat", raw.get("repeat", False)),
            seed(f"{path}: {where}", raw),
        ),
    )


def dataset(path: Path, home: Path, number: int, raw: object) -> DatasetRecipe:
    """One entry under `datasets`."""
    where = f"datasets[{number}]"
    if not isinstance(raw, Mapping):
        raise UsageFault(path, f"{where} is {raw!r}", "a mapping with name and sources")
    known(path, where, raw, names(DATASET_KEYS))
    name = dataset_name(path, where, raw.get("name"))
    sources = []
    for index, item in enumerate(items(path, f"{where}.sources", raw.get("sources"))):
        place = f"{where}.sources[{index}]"
        if not isinstance(item, Mapping):
            raise UsageFault(path, f"{place} is {item!r}", "a mapping with format and path")
        sources.append(source(path, home, place, item))
    steps = read_steps(f"{path}: {where}.steps", raw.get("steps", []))
    return DatasetRecipe(name, tuple(sources), prompts(path, where, raw), steps)


def prompts(path: Path, where: str, dataset: Mapping[str, object]) -> Prompts:
    """A dataset's `prompts`, and its `system`, in which braces mean nothing."""
    raw = dataset.get("prompts", {})
    place = f"{where}.prompts"
    if not isinstance(raw, Mapping):
        raise UsageFault(path, f"{place} is {raw!r}", f"a mapping: {', '.join(names(PROMPT_KEYS))}")
    known(path, place, raw, names(PROMPT_KEYS))
    system: tuple[Template, ...] = ()
    if SYSTEM in raw:
        system = read_templates(f"{path}: {place}.{SYSTEM}", SYSTEM, raw[SYSTEM])
    if (plain := dataset.get(SYSTEM)) is not None:
        if system:
            raise UsageFault(path, f"{where} has {SYSTEM} and prompts.{SYSTEM}", "one of them")
        system = (literal(text(path, f"{where}.{SYSTEM}", plain)),)
    asked = {kind: raw[kind] for kind in MediaKind if kind in raw}
    return Prompts(
        {kind: read_templates(f"{path}: {place}.{kind}", kind, value) for kind, value in asked.items()},
        system,
        seed(f"{path}: {place}", raw),
    )


def dataset_name(path: Path, where: str, raw: object) -> str:
    """A name that files can have."""
    name = text(path, f"{where}.name", raw)
    if not re.fullmatch(NAME, name):
        raise UsageFault(path, f"{where}.name is {name!r}", "letters, digits, _ . -")
    return name


def source(path: Path, home: Path, place: str, raw: Mapping[str, object]) -> Source:
    """One entry under `sources`; its format is told by its looks where the recipe does not name it."""
    known(path, place, raw, names(SOURCE_KEYS))
    options = read_options(path, place, raw)
    file = home / text(path, f"{place}.path", raw.get("path"))
    if raw.get("format") is None:
        if not file.exists():
            raise UsageFault(path, f"{place}.path: {file} not found", "an existing source")
        chosen, found = detect(file, options), True
    else:
        chosen, found = BY_NAME[one_of(path, f"{place}.format", raw["format"], tuple(BY_NAME))], False
    check_place(path, place, file, chosen)
    for ours in options.columns:
        if ours not in chosen.columns:
            raise UsageFault(
                path, f"{place}.columns.{ours}: not a field of {chosen.name}", ", ".join(chosen.columns) or "no columns"
            )
    return Source(chosen.name, file, options, found)


def check_place(path: Path, place: str, file: Path, chosen: Format) -> None:
    """Whether the source is where and what its format needs."""
    if chosen.name == "datasets" and not file.exists() and HUB_NAME.fullmatch("/".join(file.parts[-2:])):
        return
    there = {True: file.is_dir(), False: file.is_file(), None: file.exists()}[chosen.folder]
    if not there:
        raise UsageFault(path, f"{place}.path: {file} not found", "an existing source")


def read_options(path: Path, place: str, raw: Mapping[str, object]) -> Options:
    """How the source is to be read."""
    columns = raw.get("columns", {})
    if not isinstance(columns, Mapping):
        raise UsageFault(path, f"{place}.columns is {columns!r}", "a mapping of our fields to the source's columns")
    columns_of = {str(ours): text(path, f"{place}.columns.{ours}", theirs) for ours, theirs in columns.items()}
    for ours, theirs in columns_of.items():
        if rivals := [other for other, name in columns_of.items() if name == theirs and other != ours]:
            found = f"columns {ours} and {rivals[0]} both read {theirs!r}"
            raise UsageFault(path, f"{place}: {found}", "a column for each field, and each column once")
    keep = raw.get("keep", [])
    chosen = None if keep == ALL else frozenset(text(path, f"{place}.keep", one) for one in listed(path, place, keep))
    given = {key: text(path, f"{place}.{key}", raw[key]) for key in TEXT_KEYS if raw.get(key) is not None}
    cues = one_of(path, f"{place}.cues", given.get("cues", TRANSCRIPT), (TRANSCRIPT, ROWS))
    return Options(
        columns_of,
        chosen,
        given.get("split"),
        given.get("config"),
        given.get("revision"),
        given.get("field"),
        cues,
        given.get("media_dir", ""),
    )


def listed(path: Path, place: str, keep: object) -> list[object]:
    """The names under `keep`."""
    if not isinstance(keep, list):
        raise UsageFault(path, f"{place}.keep is {keep!r}", f"a list of fields, or {ALL}")
    return keep


def questions(path: Path, raw: object) -> Mapping[MediaKind, tuple[Template, ...]]:
    """The prompts for bare captions, the defaults where the recipe has none."""
    if raw is None:
        return QUESTIONS
    if not isinstance(raw, Mapping):
        raise UsageFault(path, f"questions is {raw!r}", "a mapping: image, video, audio")
    known(path, "questions", raw, names(QUESTION_KEYS))
    return dict(QUESTIONS) | {
        MediaKind(kind): read_templates(f"{path}: questions.{kind}", kind, entry) for kind, entry in raw.items()
    }


def normalise(path: Path, raw: object) -> Uniform | None:
    """How stored media are to be changed."""
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        raise UsageFault(path, f"normalise is {raw!r}", f"a mapping: {', '.join(names(UNIFORM_KEYS))}")
    known(path, "normalise", raw, names(UNIFORM_KEYS))
    side = raw.get("max_side")
    if side is not None and (not isinstance(side, int) or isinstance(side, bool) or side < 1):
        raise UsageFault(path, f"normalise.max_side is {side!r}", "a number of pixels")
    return Uniform(
        flag(path, "normalise.exif", raw.get("exif", False)),
        flag(path, "normalise.rgb", raw.get("rgb", False)),
        side,
        None if raw.get("remux") is None else one_of(path, "normalise.remux", raw["remux"], (MP4,)),
        None if raw.get("audio") is None else one_of(path, "normalise.audio", raw["audio"], (MONO,)),
    )


def read_layout(path: Path, raw: object) -> Layout:
    """The kind of the trainer's files, and how large each becomes."""
    if not isinstance(raw, Mapping):
        return Layout(Kind(one_of(path, "output", raw, tuple(Kind))))
    known(path, "output", raw, names(OUTPUT_KEYS))
    kind = Kind(one_of(path, "output.form", raw.get("form"), tuple(Kind)))
    sizes = [key for key in ("shard_rows", "shard_bytes") if key in raw]
    if len(sizes) > 1:
        raise UsageFault(path, "output has shard_rows and shard_bytes", "one of them")
    for key in sizes:
        if kind is Kind.JSON:
            raise UsageFault(path, f"output.{key} with form: json", "jsonl, parquet or arrow: json is one file")
        size = raw[key]
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise UsageFault(path, f"output.{key} is {size!r}", "a whole number, 1 or more")
    return Layout(kind, raw.get("shard_rows"), raw.get("shard_bytes"))


def known(path: Path, where: str, raw: Mapping[str, object], keys: Sequence[str]) -> None:
    """Refuse keys that mean nothing here."""
    for key in raw:
        if key not in keys:
            near = get_close_matches(str(key), keys, n=1)
            raise UsageFault(
                path, f"unknown key {key!r} in {where}", ", ".join(keys), f"did you mean {near[0]!r}?" if near else ""
            )


def text(path: Path, where: str, value: object) -> str:
    """A non-empty string."""
    if not isinstance(value, str) or not value.strip():
        raise UsageFault(path, f"{where} is {value!r}", "text")
    return value


def items(path: Path, where: str, value: object) -> list[object]:
    """A non-empty list."""
    if not isinstance(value, list) or not value:
        raise UsageFault(path, f"{where} is {value!r}", "a list with at least one item")
    return value


def one_of(path: Path, where: str, value: object, choices: Sequence[str]) -> str:
    """One of some words."""
    if not isinstance(value, str) or value not in choices:
        near = get_close_matches(str(value), choices, n=1)
        cure = f"did you mean {near[0]!r}?" if near else ""
        raise UsageFault(path, f"{where} is {value!r}", f"one of {', '.join(choices)}", cure)
    return value


def flag(path: Path, where: str, value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise UsageFault(path, f"{where} is {value!r}", "true or false")
    return value
