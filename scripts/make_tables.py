"""Write what the importable llamafactory and transformers define as data, so that checks need not import them.

Makes, under validators/llamafactory/tables:
- LLAMAFACTORY+TRANSFORMERS/keys.json: every key of a train yaml, with its default, types and choices
- LLAMAFACTORY+TRANSFORMERS/types.json: the values of config.json's model_type that this transformers has a class for
- LLAMAFACTORY/models.json: the models that llamafactory lists, each with its chat template
- LLAMAFACTORY/templates.json: every chat template's slots, words and media tokens
- LLAMAFACTORY/prompts.json: what stands around a list of tools

Run by `make templates` for what is installed; with a folder of other releases on PYTHONPATH it makes those releases'
keys (`PYTHONPATH=FOLDER python scripts/make_tables.py`). A test fails when what is importable says something else than
its tables. `--check` writes nothing and exits 1 when stale.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import sys
import types
import typing
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "validators" / "llamafactory" / "tables"
PROMPT = "_TOOL_PROMPT"


def trainer_keys() -> dict[str, Any]:
    """Keys of llamafactory/hparams/parser.py's _TRAIN_ARGS and _INFER_ARGS with their plain defaults."""
    from llamafactory.hparams import parser

    def keys_of(classes: list[Any]) -> dict[str, Any]:
        fields = {field.name: field for cls in classes for field in dataclasses.fields(cls) if field.init}
        return {name: plain_default(field) for name, field in sorted(fields.items())}

    return {
        "train": keys_of(parser._TRAIN_ARGS),
        "export": keys_of(parser._INFER_ARGS),
        "kinds": {name: kind for cls in parser._TRAIN_ARGS for name, kind in kinds_of(cls).items()},
    }


def model_types() -> dict[str, Any]:
    """transformers, models/auto/configuration_auto.py: CONFIG_MAPPING_NAMES."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return {"model_types": sorted(CONFIG_MAPPING_NAMES)}


def kinds_of(cls: Any) -> dict[str, Any]:
    """Each field's types by name, and its choices where it has some."""
    hints = typing.get_type_hints(cls)
    kinds = {}
    for name in sorted(field.name for field in dataclasses.fields(cls) if field.init):
        parts = typing.get_args(hints[name])
        union = typing.get_origin(hints[name]) in (typing.Union, types.UnionType)
        names: set[str] = set()
        choices: list[Any] = []
        for part in parts if union else (hints[name],):
            if typing.get_origin(part) is typing.Literal:
                choices += typing.get_args(part)
            elif isinstance(part, type) and issubclass(part, enum.Enum):
                choices += [item.value for item in part]
            else:
                names.add((typing.get_origin(part) or part).__name__)
        if choices and all(isinstance(choice, str) for choice in choices):
            names -= {"str"}  # an enum's name as text
        kinds[name] = {"types": sorted(names - {"NoneType"}), "choices": choices, "null": "NoneType" in names}
    return kinds


def plain_default(field: dataclasses.Field[Any]) -> Any:
    """The default where JSON can say it, else null."""
    default = field.default
    return default if isinstance(default, bool | int | float | str) else None


def models() -> dict[str, Any]:
    """Each model of llamafactory/extras/constants.py by the last part of its hub names, in small letters; `name` is the
    whole of the first of them, which is Hugging Face's."""
    from llamafactory.extras.constants import DEFAULT_TEMPLATE, MULTIMODAL_SUPPORTED_MODELS, SUPPORTED_MODELS

    found: dict[str, Any] = {}
    for name, sources in SUPPORTED_MODELS.items():
        for path in sources.values():
            blank = {"name": path, "templates": [], "multimodal": False}
            entry = found.setdefault(path.rsplit("/", 1)[-1].lower(), blank)
            template = DEFAULT_TEMPLATE.get(name)
            if template is not None and template not in entry["templates"]:
                entry["templates"].append(template)
            entry["multimodal"] |= name in MULTIMODAL_SUPPORTED_MODELS
    return dict(sorted(found.items()))


def templates() -> dict[str, Any]:
    """Each template of llamafactory/data/template.py: formatter kinds, slots, media tokens, flags."""
    from llamafactory.data.template import TEMPLATES as registered

    return {name: describe(template) for name, template in sorted(registered.items())}


def tool_prompts() -> dict[str, Any]:
    """The prompts that stand around a list of tools: the constants …_TOOL_PROMPT of llamafactory/data/tool_utils.py."""
    from llamafactory.data import tool_utils

    prompts = {name: text for name, text in vars(tool_utils).items() if name.endswith(PROMPT)}
    return {name.removesuffix(PROMPT).lower(): text for name, text in prompts.items()}


def describe(template: Any) -> dict[str, Any]:
    """One template as plain data. Sets in slots become {"special": name}."""

    def slots(formatter: Any) -> dict[str, Any]:
        return {
            "formatter": type(formatter).__name__,
            "slots": [plain_slot(slot) for slot in formatter.slots],
            "tool_format": formatter.tool_format,
        }

    plugin = template.mm_plugin
    return {
        "class": type(template).__name__,
        "user": slots(template.format_user),
        "assistant": slots(template.format_assistant),
        "system": slots(template.format_system),
        "function": slots(template.format_function),
        "observation": slots(template.format_observation),
        "tools": slots(template.format_tools),
        "prefix": slots(template.format_prefix),
        "default_system": template.default_system,
        "stop_words": list(template.stop_words),
        "thought_words": list(template.thought_words),
        "tool_call_words": list(template.tool_call_words),
        "efficient_eos": template.efficient_eos,
        "replace_eos": template.replace_eos,
        "enable_thinking": template.enable_thinking,
        "preserve_thinking": template.preserve_thinking,
        "plugin": {
            "class": type(plugin).__name__,
            **{
                name: getattr(plugin, name, None)
                for name in (
                    "image_token",
                    "video_token",
                    "audio_token",
                    "vision_bos_token",
                    "vision_eos_token",
                )
            },
        },
    }


def plain_slot(slot: Any) -> Any:
    """A slot as JSON: text stays text, {"bos_token"} becomes {"special": "bos_token"}, a token dict stays."""
    if isinstance(slot, set):
        return {"special": next(iter(slot))}
    return slot


def tables() -> dict[Path, dict[str, Any]]:
    """Each table's file, and what belongs into it."""
    from llamafactory.extras.env import VERSION

    both = TABLES / f"{VERSION}+{version('transformers')}"
    alone = TABLES / VERSION
    return {
        both / "keys.json": trainer_keys(),
        both / "types.json": model_types(),
        alone / "models.json": models(),
        alone / "templates.json": templates(),
        alone / "prompts.json": tool_prompts(),
    }


def main() -> int:
    """Write all tables, or compare them with what stands there."""
    stale = []
    for path, table in tables().items():
        text = json.dumps(table, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(path)
    for path in stale:
        print(f"{path.relative_to(ROOT)} is stale: run `make templates`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
