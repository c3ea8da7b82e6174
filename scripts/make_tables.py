"""Write what the installed llamafactory defines as data, so that checks need not import it.

Makes validators/sources/trainer_keys.json (every key of a train yaml, with its default),
validators/budgets/templates.json (every chat template's slots, words and media tokens) and
validators/replay/tools/prompts.json (what stands around a list of tools). Run by `make templates`; a test fails when
the installed llamafactory says something else. `--check` writes nothing and exits 1 when stale.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEYS = ROOT / "validators" / "sources" / "trainer_keys.json"
TEMPLATES = ROOT / "validators" / "budgets" / "templates.json"
PROMPTS = ROOT / "validators" / "replay" / "tools" / "prompts.json"
PROMPT = "_TOOL_PROMPT"


def trainer_keys() -> dict[str, Any]:
    """Keys of llamafactory/hparams/parser.py's _TRAIN_ARGS and _INFER_ARGS with their plain defaults."""
    from llamafactory.hparams import parser

    def keys_of(classes: list[Any]) -> dict[str, Any]:
        fields = {field.name: field for cls in classes for field in dataclasses.fields(cls) if field.init}
        return {name: plain_default(field) for name, field in sorted(fields.items())}

    return {
        "llamafactory": version("llamafactory"),
        "transformers": version("transformers"),
        "train": keys_of(parser._TRAIN_ARGS),
        "export": keys_of(parser._INFER_ARGS),
    }


def plain_default(field: dataclasses.Field[Any]) -> Any:
    """The default where JSON can say it, else null."""
    default = field.default
    return default if isinstance(default, bool | int | float | str) else None


def templates() -> dict[str, Any]:
    """Each template of llamafactory/data/template.py: formatter kinds, slots, media tokens, flags."""
    from llamafactory.data.template import TEMPLATES as registered

    return {
        "llamafactory": version("llamafactory"),
        "templates": {name: describe(template) for name, template in sorted(registered.items())},
    }


def tool_prompts() -> dict[str, Any]:
    """The prompts that stand around a list of tools: the constants …_TOOL_PROMPT of llamafactory/data/tool_utils.py."""
    from llamafactory.data import tool_utils

    prompts = {name: text for name, text in vars(tool_utils).items() if name.endswith(PROMPT)}
    return {
        "llamafactory": version("llamafactory"),
        "prompts": {name.removesuffix(PROMPT).lower(): text for name, text in prompts.items()},
    }


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


def main() -> int:
    """Write all tables, or compare them with what stands there."""
    stale = []
    for path, table in ((KEYS, trainer_keys()), (TEMPLATES, templates()), (PROMPTS, tool_prompts())):
        text = json.dumps(table, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(path)
    for path in stale:
        print(f"{path.relative_to(ROOT)} is stale: run `make templates`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
