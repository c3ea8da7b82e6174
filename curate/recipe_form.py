"""The one declaration of a recipe's keys: the reader's lists of keys, JSON Schema and reference follow from it.

What a schema cannot say is for the reader alone (curate/recipe.py): whether files are there, whether names fit
together, whether a condition is SQL. Whatever the schema refuses, the reader refuses.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from curate.forms import ABOVE_0, COUNT, FLAG, SEED, TEXT, Form, Key, either, listed, mapping, one_of, optional
from curate.ingest.places import ALL
from curate.ingest.registry import BY_NAME
from curate.ingest.subtitles import ROWS, TRANSCRIPT
from curate.media.keeper import Mode
from curate.media.uniform import MONO, MP4
from curate.prompts.read import SYSTEM
from curate.steps.registry import KINDS
from curate.writers.layout import SHARD_BYTES, Kind
from validators.limit import SCHEMA
from validators.model import MediaKind

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
NAMED: Form = {"type": "string", "pattern": f"^{NAME}$"}
PROMPT = either(
    TEXT,
    mapping(
        (
            Key("text", "the prompt", TEXT, "text: What is this?", True),
            Key("weight", "how often it is chosen beside others (default: 1)", ABOVE_0, "weight: 2"),
        )
    ),
)
PROMPTS = either(PROMPT, listed(PROMPT))

QUESTION_KEYS = tuple(
    Key(
        kind,
        f"asked of captions whose first medium is {'an' if kind[0] in 'aeiou' else 'a'} {kind}",
        PROMPTS,
        f"{kind}: builtin:describe-en",
    )
    for kind in MediaKind
)
PROMPT_KEYS = (
    *QUESTION_KEYS,
    Key(
        SYSTEM,
        "for rows without a system prompt, captions or not; in place of the dataset's `system`",
        PROMPTS,
        "system: [You are brief., {text: You are thorough., weight: 3}]",
    ),
    Key("seed", "another choice among them (default: 0)", SEED, "seed: 7"),
)
UNIFORM_KEYS = (
    Key("exif", "`true`: pictures are turned upright", FLAG, "exif: true"),
    Key("rgb", "`true`: pictures become RGB, laid on white where they are transparent", FLAG, "rgb: true"),
    Key("max_side", "pixels of a picture's longer side at most", optional(COUNT), "max_side: 1344"),
    Key(
        "remux",
        f"`{MP4}`: videos in other containers are copied into MP4, nothing is encoded",
        optional(one_of([MP4])),
        f"remux: {MP4}",
    ),
    Key(
        "audio",
        f"`{MONO}`: sounds become WAV of 16 bits, 16 kHz, one channel",
        optional(one_of([MONO])),
        f"audio: {MONO}",
    ),
)
OUTPUT_KEYS = (
    Key(
        "form",
        "`json`: NAME.json; `jsonl`: NAME.jsonl; `parquet`, `arrow` (streams): a folder NAME/ of shards, "
        "`part-00000.parquet` and so on, that `file_name` in `dataset_info.json` names",
        one_of(Kind),
        "form: parquet",
        True,
    ),
    Key("shard_rows", "the rows of a shard; not for json", COUNT, "shard_rows: 100000"),
    Key(
        "shard_bytes",
        "in place of `shard_rows`: a shard is closed when its file has grown to so many bytes (default for parquet and "
        f"arrow: {SHARD_BYTES})",
        COUNT,
        "shard_bytes: 50000000",
    ),
)
TWO_SIZES: Form = {"required": ["shard_rows", "shard_bytes"]}
SHARDS_OF_ONE: Form = {
    "properties": {"form": one_of([Kind.JSON])},
    "anyOf": [{"required": ["shard_rows"]}, {"required": ["shard_bytes"]}],
}
SOURCE_KEYS = (
    Key(
        "format",
        "one of the [formats](formats.md#read); told by the source's looks where it is not named",
        optional(one_of(BY_NAME)),
        "format: jsonl",
    ),
    Key(
        "path",
        "a file, a folder, or owner/name of a dataset on the Hub; from the recipe's folder",
        TEXT,
        "path: captions.jsonl",
        True,
    ),
    Key(
        "columns",
        "our field: the source's column; `a.b` is b inside a",
        {"type": "object", "additionalProperties": TEXT},
        "columns: {caption: text, image: path}",
    ),
    Key(
        "keep",
        f"fields to keep as JSON in `meta`: a list of names, or `{ALL}`",
        either(listed(TEXT, least=0), one_of([ALL])),
        "keep: [category]",
    ),
    Key("split", "which split, or `all` (default: `train`, or the only one)", optional(TEXT), "split: validation"),
    Key("config", "a Hub dataset's configuration", optional(TEXT), "config: en"),
    Key("revision", "a Hub dataset's revision", optional(TEXT), "revision: main"),
    Key("field", "the key under which a JSON object holds its rows", optional(TEXT), "field: data"),
    Key(
        "cues",
        f"subtitles: `{TRANSCRIPT}`, one row a file (default), or `{ROWS}`, one row a cue",
        optional(one_of([TRANSCRIPT, ROWS])),
        f"cues: {ROWS}",
    ),
    Key("media_dir", "where this source's media paths start, from the media root", optional(TEXT), "media_dir: train"),
)
TEXT_KEYS = ("split", "config", "revision", "field", "cues", "media_dir")


def step_form() -> Form:
    """A step: its name alone, or with its options."""
    bare = [kind.name for kind in KINDS.values() if kind.bare]
    with_options: list[Form] = [
        mapping((Key(kind.name, kind.words, kind.form, kind.example, required=True),)) for kind in KINDS.values()
    ]
    return either(one_of(bare), *with_options)


DATASET_KEYS = (
    Key("name", "the dataset's name: letters, digits, `_`, `.` and `-`", NAMED, "name: cats", True),
    Key(
        "sources",
        "where its rows come from, in this order",
        listed(mapping(SOURCE_KEYS)),
        "sources: [{path: captions.jsonl}]",
        True,
    ),
    Key(SYSTEM, "a system prompt for all rows without one", optional(TEXT), "system: You answer briefly."),
    Key(
        "prompts",
        "questions for captions, and system prompts in variety",
        mapping(PROMPT_KEYS),
        "prompts: {image: builtin:describe-zh}",
    ),
    Key(
        "steps",
        "what is done with its rows, in this order",
        listed(step_form(), least=0),
        "steps: [clean, {filter: answer_chars >= 10}]",
    ),
)
MIX_KEYS = (
    Key("name", "the mixture's name", NAMED, "name: all", True),
    Key(
        "of",
        "datasets and their weights",
        {"type": "object", "minProperties": 1, "additionalProperties": ABOVE_0},
        "of: {cats: 2, dogs: 1}",
        True,
    ),
    Key("rows", "in all (default: as many as the scarcest gives)", COUNT, "rows: 1000"),
    Key("tokens", "in all, in place of `rows`; needs `trainer`", COUNT, "tokens: 1000000"),
    Key("repeat", "`true`: rows are taken again where a dataset has too few", FLAG, "repeat: true"),
    Key("seed", "another choice of rows (default: 0)", SEED, "seed: 7"),
)
RECIPE_KEYS = (
    Key("version", "1", {"const": 1}, "version: 1", True),
    Key(
        "target",
        "the folder to write; replaced as a whole, foreign files in it stay; `--target` goes before it",
        TEXT,
        "target: out",
        True,
    ),
    Key(
        "media_root",
        "where media paths start; no path leads out of it (default: the recipe's folder)",
        TEXT,
        "media_root: media",
    ),
    Key(
        "media",
        "`reference` names files where they are; `copy`, `hardlink` (a copy where no link can be) and `store` put them "
        "under the target, `store` by the sha256 of their bytes. Default: `store` if a source's first rows hold media, "
        "else `reference`. Media inside the data always go to the store",
        optional(one_of(Mode)),
        "media: store",
    ),
    Key(
        "fetch",
        "`true`: http addresses are fetched, from public hosts only, up to 256 MiB and 120 s each, several at a time; "
        "proxies of the environment are not used (default: such rows are dropped). What was fetched stays in "
        "`$MMCURATE_CACHE/http` (default: `~/.cache/mmcurate/http`), up to `$MMCURATE_CACHE_GIB` (default: 20): the "
        "next build asks whether it is new, and takes it where the host does not answer",
        FLAG,
        "fetch: true",
    ),
    Key(
        "normalise",
        "how stored media are changed; the originals stay in `media/original/`, the ledger says what was done",
        optional(mapping(UNIFORM_KEYS)),
        "normalise: {exif: true, max_side: 1344}",
    ),
    Key(
        "questions",
        "prompts for captions that come without a question, for datasets without own `prompts` of that kind",
        optional(mapping(QUESTION_KEYS)),
        'questions: {image: ["What does the picture show?"]}',
    ),
    Key(
        "trainer",
        "the train yaml by which `budget`, and `tokens` in a filter or a mixture, count",
        optional(TEXT),
        "trainer: train.yaml",
    ),
    Key(
        "output",
        "the form of the trainer's files: `json` (default), `jsonl`, `parquet`, `arrow`, or a mapping",
        either(one_of(Kind), mapping(OUTPUT_KEYS, **{"not": either(TWO_SIZES, SHARDS_OF_ONE)})),
        "output: {form: parquet, shard_rows: 100000}",
    ),
    Key(
        "datasets",
        "what to build",
        listed(mapping(DATASET_KEYS)),
        "datasets: [{name: cats, sources: [{path: captions.jsonl}]}]",
        True,
    ),
    Key(
        "max_lost",
        "how many rows of a source, and of a dataset, may be lost while they are read, as a share or a number: with "
        "more, the target stays as it is (default: any number but all); `--max-lost` goes before it",
        optional(SCHEMA),
        'max_lost: "0.5%"',
    ),
    Key(
        "mixes",
        "datasets out of others",
        listed(mapping(MIX_KEYS, **{"not": {"required": ["rows", "tokens"]}})),
        "mixes: [{name: all, of: {cats: 2, dogs: 1}}]",
    ),
)
TABLES: Mapping[str, tuple[Key, ...]] = {
    "A recipe": RECIPE_KEYS,
    "A dataset": DATASET_KEYS,
    "A source": SOURCE_KEYS,
    "`prompts`": PROMPT_KEYS,
    "`normalise`": UNIFORM_KEYS,
    "`output`": OUTPUT_KEYS,
    "A mixture": MIX_KEYS,
}
"""Every mapping of named keys, by the heading of its table in the reference."""


def schema() -> Form:
    """The JSON Schema (draft 2020-12) of a recipe."""
    heading = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A recipe of mmcurate"}
    return {**heading, **mapping(RECIPE_KEYS)}


def schema_text() -> str:
    """The schema as docs/recipe.schema.json holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
