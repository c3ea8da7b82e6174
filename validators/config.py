"""The configuration file of `curate check`: `[tool.mmcurate]` in pyproject.toml, or mmcurate.toml.

OPTIONS is the one declaration: the reader, the JSON Schema (docs/config.schema.json) and the reference
(docs/config.md) follow from it. Whether a rule code exists is for validators.policy to say: this module stays light.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path

from validators.errors import UsageFault
from validators.limit import Limit, parse_limit
from validators.thresholds import FIELDS, default_of, thresholds_of

OWN_FILE = "mmcurate.toml"
SHARED_FILE = "pyproject.toml"
TABLE = "[tool.mmcurate]"
MAX_BYTES = 1 << 20
CODE = "^(ALL|[A-Z]{1,3}|[A-Z]{3}[0-9]{1,3})$"


class Level(StrEnum):
    """What a rule's findings count as."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    OFF = "off"


class Kind(StrEnum):
    """The type of an option's value."""

    CODES = "codes"
    CODES_BY_GLOB = "codes-by-glob"
    LEVEL_BY_CODE = "level-by-code"
    TEXT = "text"
    FILE = "file"
    COUNT = "count"
    LIMIT = "limit"
    NUMBERS = "numbers"


@dataclass(frozen=True, slots=True)
class Option:
    """One key: its type, what it does, the flag that goes before it, and an example in TOML."""

    key: str
    kind: Kind
    words: str
    flag: str
    example: str


OPTIONS = (
    Option(
        "select",
        Kind.CODES,
        "Report these rules only: codes, prefixes (`TAG`, `TAG2`), or `ALL`. Without it all are reported.",
        "--select",
        'select = ["TAG", "BUD201"]',
    ),
    Option("extend-select", Kind.CODES, "Report these too.", "--extend-select", 'extend-select = ["MED"]'),
    Option("ignore", Kind.CODES, "Do not report these.", "--ignore", 'ignore = ["IMG3", "VID3"]'),
    Option("extend-ignore", Kind.CODES, "Nor these.", "--extend-ignore", 'extend-ignore = ["BUD002"]'),
    Option(
        "per-path-ignores",
        Kind.CODES_BY_GLOB,
        "Do not report these for findings in files that match: `*` within a name, `**` over folders, `?`. A pattern "
        "without a slash matches at any depth; one that matches a folder counts for all that is in it. Paths start "
        "from the folder of the configuration file.",
        "",
        'per-path-ignores = { "old/**" = ["BUD2"], "draft_*.json" = ["ALL"] }',
    ),
    Option(
        "severity",
        Kind.LEVEL_BY_CODE,
        "What findings count as, by code or prefix. `off` is a way to write `ignore`.",
        "--severity CODE=LEVEL",
        'severity = { BUD201 = "warning", IMG = "off" }',
    ),
    Option(
        "thresholds",
        Kind.NUMBERS,
        "The numbers from which rules speak, by name.",
        "--threshold NAME=NUMBER",
        "thresholds = { min-image-side = 28 }",
    ),
    Option(
        "template",
        Kind.TEXT,
        "The chat template of targets that name none.",
        "--template",
        'template = "minicpm_v"',
    ),
    Option(
        "tokenizer",
        Kind.FILE,
        "A tokenizer.json, or the folder that holds one; from the folder of the configuration file.",
        "--tokenizer",
        'tokenizer = "models/minicpm-v"',
    ),
    Option(
        "media-dir",
        Kind.FILE,
        "Where media paths start, for targets that name no media_dir; from the folder of the configuration file.",
        "--media-dir",
        'media-dir = "media"',
    ),
    Option(
        "environment",
        Kind.TEXT,
        "The environment to predict for, and to train in: one of those that `curate env list` names, or `installed`, "
        "which is what lies beside this Python. Without it: the one that the run will use by itself.",
        "--env",
        'environment = "transformers-4"',
    ),
    Option("cutoff-len", Kind.COUNT, "cutoff_len, for targets that name none.", "--cutoff-len", "cutoff-len = 4096"),
    Option(
        "max-lost",
        Kind.LIMIT,
        "The gate: how many training rows may be lost before the loss, as a share or as a number of rows. With it, "
        "the exit code is 1 only when more are lost, or when the trainer would stop before its first step.",
        "--max-lost",
        'max-lost = "0.5%"',
    ),
    Option(
        "baseline",
        Kind.FILE,
        "The file of known findings, which do not fail; from the folder of the configuration file. "
        "`--write-baseline FILE` writes it.",
        "--baseline",
        'baseline = "mmcurate.baseline.json"',
    ),
)
BY_KEY: Mapping[str, Option] = {option.key: option for option in OPTIONS}


@dataclass(frozen=True, slots=True)
class Config:
    """What a configuration file says; None or empty where it says nothing. Paths are absolute but for `file`."""

    file: Path | None = None
    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    extend_ignore: tuple[str, ...] = ()
    per_path_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    severity: tuple[tuple[str, Level], ...] = ()
    thresholds: tuple[tuple[str, float], ...] = ()
    template: str | None = None
    tokenizer: Path | None = None
    media_dir: Path | None = None
    environment: str | None = None
    cutoff_len: int | None = None
    max_lost: Limit | None = None
    baseline: Path | None = None


def find_config(folder: Path) -> Config:
    """The configuration of the nearest file from this folder upward; an empty one where there is none.

    mmcurate.toml goes before a pyproject.toml beside it; one without the table is passed over. Files are not merged.
    """
    start = Path(os.path.abspath(folder))  # noqa: PTH100 (`..` goes by name, links are not followed)
    for home in (start, *start.parents):
        own, shared = (Path(os.path.relpath(home / name)) for name in (OWN_FILE, SHARED_FILE))  # as messages show it
        if own.is_file():
            return read_config(own)
        if shared.is_file() and (raw := table_of(shared, read_toml(shared))) is not None:
            return config_of(shared, raw)
    return Config()


def read_config(file: Path) -> Config:
    """Read a named file: a pyproject.toml by its table, any other as a whole. UsageFault names file, key and cure."""
    raw = read_toml(file)
    if file.name != SHARED_FILE:
        return config_of(file, raw)
    table = table_of(file, raw)
    if table is None:
        raise UsageFault(file, f"no {TABLE}", f"a table {TABLE}, or a file of another name")
    return config_of(file, table)


def read_toml(file: Path) -> Mapping[str, object]:
    """A TOML file; UsageFault with the reason when it cannot be read."""
    expected = "a TOML file"
    try:
        if file.is_file() and file.stat().st_size > MAX_BYTES:
            raise UsageFault(file, f"more than {MAX_BYTES >> 20} MiB", "a configuration file")
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageFault(file, f"cannot be read: {error.strerror}", expected) from error
    except UnicodeDecodeError as error:
        raise UsageFault(file, f"bytes that are not UTF-8 at offset {error.start}", expected) from error
    except RecursionError as error:
        raise UsageFault(file, "values nested too deeply to read", expected) from error
    except ValueError as error:  # TOMLDecodeError, and integers of more digits than Python converts
        raise UsageFault(file, f"not TOML: {error}", expected, "--isolated goes without configuration files") from error


def table_of(file: Path, raw: Mapping[str, object]) -> Mapping[str, object] | None:
    """The table in a pyproject.toml; None where it has none."""
    tool = raw.get("tool")
    if not isinstance(tool, Mapping) or "mmcurate" not in tool:
        return None
    table = tool["mmcurate"]
    if not isinstance(table, Mapping):
        raise UsageFault(file, f"tool.mmcurate is {table!r}", f"a table {TABLE}")
    return table


def config_of(file: Path, raw: Mapping[str, object]) -> Config:
    """Type every key; UsageFault for an unknown one, with the nearest name, and for a value of another type."""
    values: dict[str, object] = {}
    home = Path(os.path.abspath(file)).parent  # noqa: PTH100
    for key, value in raw.items():
        option = BY_KEY.get(key)
        if option is None:
            near = get_close_matches(key.replace("_", "-"), list(BY_KEY), n=1)
            cure = f"did you mean {near[0]!r}?" if near else ""
            raise UsageFault(file, f"unknown key {key!r}", f"one of {', '.join(BY_KEY)}", cure)
        values[key.replace("-", "_")] = typed(f"{file}: {key}", option.kind, value, home)
    return Config(file=file, **values)  # type: ignore[arg-type]


def typed(where: str, kind: Kind, value: object, home: Path) -> object:
    """One value as its kind's type; `home` is what paths start from."""
    if kind is Kind.CODES:
        return code_list(where, value)
    if kind in (Kind.CODES_BY_GLOB, Kind.LEVEL_BY_CODE, Kind.NUMBERS):
        if not isinstance(value, Mapping):
            raise UsageFault(where, f"{value!r}", f"a table: {next(o.example for o in OPTIONS if o.kind is kind)}")
        if kind is Kind.CODES_BY_GLOB:
            return tuple((glob, code_list(f"{where}.{glob}", codes)) for glob, codes in value.items())
        if kind is Kind.NUMBERS:
            thresholds_of((name, number, f"{where}.{name}") for name, number in value.items())
            return tuple(value.items())
        return tuple((code, level_of(f"{where}.{code}", level)) for code, level in value.items())
    if kind is Kind.LIMIT:
        return parse_limit(value, where)
    if kind is Kind.COUNT:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UsageFault(where, f"{value!r}", "a whole number of tokens, at least 1")
        return value
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise UsageFault(where, f"{value!r}", "text" if kind is Kind.TEXT else "the path of a file or folder, as text")
    return value if kind is Kind.TEXT else home / value


def code_list(where: str, value: object) -> tuple[str, ...]:
    """A list of rule codes or prefixes."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UsageFault(where, f"{value!r}", 'a list of rule codes or prefixes: ["TAG", "BUD201"]')
    return tuple(value)


def level_of(where: str, value: object) -> Level:
    """A level by its name; UsageFault names the nearest."""
    if isinstance(value, str) and value in tuple(Level):
        return Level(value)
    near = get_close_matches(str(value), [level.value for level in Level], n=1)
    raise UsageFault(where, f"{value!r}", " | ".join(Level), f"did you mean {near[0]!r}?" if near else "")


def schema() -> dict[str, object]:
    """The JSON Schema (draft 2020-12) of the table."""
    codes = {"type": "array", "items": {"type": "string", "pattern": CODE}}
    forms: Mapping[Kind, Mapping[str, object]] = {
        Kind.CODES: codes,
        Kind.CODES_BY_GLOB: {"type": "object", "additionalProperties": codes},
        Kind.LEVEL_BY_CODE: {
            "type": "object",
            "propertyNames": {"pattern": CODE},
            "additionalProperties": {"enum": [level.value for level in Level]},
        },
        Kind.NUMBERS: {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                name: {
                    "description": item.metadata["words"],
                    "type": "number",
                    "minimum": item.metadata["least"],
                    "maximum": item.metadata["most"],
                    "default": default_of(item),
                }
                for name, item in FIELDS.items()
            },
        },
        Kind.TEXT: {"type": "string", "pattern": r"\S"},
        Kind.FILE: {"type": "string", "pattern": r"\S"},
        Kind.COUNT: {"type": "integer", "minimum": 1},
        Kind.LIMIT: {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\s*([0-9]+|[0-9]+(\.[0-9]+)?\s*%)\s*$"},
            ]
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mmcurate",
        "description": f"{TABLE} in {SHARED_FILE}, or a whole {OWN_FILE}",
        "type": "object",
        "additionalProperties": False,
        "properties": {option.key: {"description": option.words, **forms[option.kind]} for option in OPTIONS},
    }


def schema_text() -> str:
    """The schema as docs/config.schema.json holds it."""
    return json.dumps(schema(), indent=2) + "\n"


def reference() -> str:
    """The page docs/config.md."""
    lines = [
        "# Configuration",
        "",
        "Generated by `make docs`. The JSON Schema for editors is [config.schema.json](config.schema.json).",
        "",
        f"`curate check` reads `{TABLE}` of a `{SHARED_FILE}`, or a `{OWN_FILE}` with the same keys at its top level: "
        "the nearest one from the target's folder upward, and no other. `--config FILE` names one; `--isolated` goes "
        "without, which is right for data from strangers. An unknown key or a wrong value ends the command with exit "
        "code 2. `curate train`, `curate export` and `curate push` check under the same file before they start.",
        "",
        "Configuration decides what is reported and what fails. It never changes what is predicted: every rule runs, "
        "and rows, tokens and outcomes stay as they are.",
        "",
        "- Of several codes and prefixes that match a rule, the longest decides; of equals, `ignore` does.",
        "- The command line goes before the file. `--select` starts afresh; `--ignore` takes the place of the file's "
        "`ignore`; the `--extend-` flags add.",
        "- `per-path-ignores` goes before all selection.",
        "- `template`, `media-dir` and `cutoff-len` yield to what a train yaml says itself; flags do not.",
        "",
        "| key | type | command line |",
        "|---|---|---|",
    ]
    lines += [
        f"| [`{option.key}`](#{option.key}) | {WORDS[option.kind]} | {f'`{option.flag}`' if option.flag else ''} |"
        for option in OPTIONS
    ]
    for option in OPTIONS:
        lines += ["", f"## {option.key}", "", option.words, "", "```toml", option.example, "```"]
        if option.kind is Kind.NUMBERS:
            lines += ["", "| name | default | meaning |", "|---|---|---|"]
            lines += [
                f"| `{name}` | {default_of(item):g} | {item.metadata['words']} |" for name, item in FIELDS.items()
            ]
    return "\n".join(lines) + "\n"


WORDS: Mapping[Kind, str] = {
    Kind.CODES: "list of codes or prefixes",
    Kind.CODES_BY_GLOB: "table: glob → list of codes or prefixes",
    Kind.LEVEL_BY_CODE: f"table: code or prefix → {', '.join(Level)}",
    Kind.NUMBERS: "table: name → number",
    Kind.TEXT: "text",
    Kind.FILE: "path",
    Kind.COUNT: "whole number",
    Kind.LIMIT: 'share like `"0.5%"`, or a whole number',
}
