"""The list of available tools as text, before a format's prompt is put around it.

Source: llamafactory 0.9.5, data/tool_utils.py: `tool_formatter` of each class. Every function takes the parsed JSON,
whatever it is, and lets wrong shapes raise what they raise (see fault.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from validators.replay.tools.fault import ToolTextTooLong

Parsed: TypeAlias = Any
"""A value out of untrusted JSON, of any shape: what does not fit raises, as it does in the trainer."""
MAX_INDENTED = 1 << 24
"""Characters. Indentation grows with depth: a megabyte of deep JSON could otherwise become gigabytes."""
INDENTING = json.JSONEncoder(indent=4, ensure_ascii=False)
GLM4_ADVICE = "\n在调用上述函数时，请使用 Json 格式表示调用的参数。"
QUOTE = '<|"|>'


@dataclass(frozen=True, slots=True)
class ToolList:
    """The text of a list of tools, and their names where the prompt repeats them."""

    text: str
    names: str = ""


def compact(value: Parsed) -> str:
    """JSON on one line, with any script as it is."""
    return json.dumps(value, ensure_ascii=False)


def wrapped(tool: Parsed) -> Parsed:
    """A tool in OpenAI's envelope, put around it where it is missing."""
    return tool if tool.get("type") == "function" else {"type": "function", "function": tool}


def bare(tool: Parsed) -> Parsed:
    """A tool out of OpenAI's envelope; an envelope with nothing in it gives an empty text."""
    return tool.get("function", "") if tool.get("type") == "function" else tool


def bare_or_same(tool: Parsed) -> Parsed:
    """A tool out of OpenAI's envelope; an envelope with nothing in it stays."""
    return tool.get("function", tool) if tool.get("type") == "function" else tool


def bounded(pieces: Iterable[str]) -> str:
    """The pieces joined. Raises ToolTextTooLong once they pass MAX_INDENTED."""
    kept, size = [], 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size > MAX_INDENTED:
            raise ToolTextTooLong(f"tool descriptions of more than {MAX_INDENTED} characters")
    return "".join(kept)


def one_by_one(shape: Callable[[Parsed], Parsed], before: str, after: str) -> Callable[[Parsed], ToolList]:
    """A describer that writes each tool as one line of JSON between two fixed texts."""
    return lambda tools: ToolList("".join(before + compact(shape(tool)) + after for tool in tools))


def together(shape: Callable[[Parsed], Parsed], before: str, after: str) -> Callable[[Parsed], ToolList]:
    """A describer that writes all tools as one JSON array between two fixed texts."""
    return lambda tools: ToolList(before + compact([shape(tool) for tool in tools]) + after)


def whole(tools: Parsed) -> ToolList:
    """The parsed JSON written back, whatever it is (seed_oss looks at nothing in it)."""
    return ToolList("\n" + compact(tools))


def indented(tools: Parsed) -> ToolList:
    """Tools in their envelopes, indented by 4 (llama3)."""

    def pieces() -> Iterable[str]:
        for tool in tools:
            yield from INDENTING.iterencode(wrapped(tool))
            yield "\n\n"

    return ToolList(bounded(pieces()))


def titled(tools: Parsed) -> ToolList:
    """Each tool under a heading, indented by 4 (glm4)."""

    def pieces() -> Iterable[str]:
        for tool in map(bare, tools):
            yield f"\n\n## {tool['name']}\n\n"
            yield from INDENTING.iterencode(tool)
            yield GLM4_ADVICE

    return ToolList(bounded(pieces()))


def prose(tools: Parsed) -> ToolList:
    """Tools and their arguments as a bulleted text (default). Names and enumerated values must be text."""
    paragraphs, names = [], []
    for tool in map(bare, tools):
        schema = tool["parameters"]
        arguments = [argument_line(name, about, schema) for name, about in schema["properties"].items()]
        paragraphs.append(
            f"> Tool Name: {tool['name']}\nTool Description: {tool.get('description', '')}\n"
            f"Tool Args:\n{''.join(arguments)}\n"
        )
        names.append(tool["name"])
    return ToolList("".join(paragraphs), ", ".join(names))


def argument_line(name: str, about: Parsed, schema: Parsed) -> str:
    """One argument: name, type, whether it must be given, description, allowed values, type of its items."""
    must = ", required" if name in schema.get("required", []) else ""
    allowed = f", should be one of [{', '.join(about['enum'])}]" if about.get("enum") else ""
    items = f", where each item should be {about['items'].get('type', '')}" if about.get("items") else ""
    return f"  - {name} ({about.get('type', '')}{must}): {about.get('description', '')}{allowed}{items}\n"


def declared(tools: Parsed) -> ToolList:
    """Tools in Gemma 4's own notation. Of a nested schema only the outer description and type are kept."""
    return ToolList("\n".join(declaration(bare_or_same(tool)) for tool in tools))


def declaration(tool: Parsed) -> str:
    """One tool: name, description, parameters, response."""
    head = f"declaration:{tool['name']}"
    fields = [field("description", tool.get("description", ""))]
    if schema := tool.get("parameters"):
        fields.append(f"parameters:{{{','.join(parameter_fields(schema))}}}")
    if response := tool.get("response"):
        about = described(response)
        if str(response.get("type", "")).upper() == "OBJECT":
            about.append(field("type", "OBJECT"))
        fields.append(f"response:{{{','.join(about)}}}")
    return f"{head}{{{','.join(fields)}}}"


def parameter_fields(schema: Parsed) -> list[str]:
    """The fields of a parameter schema that Gemma 4 is shown, those present."""
    fields = []
    if properties := schema.get("properties"):
        shown = [f"{name}:{{{','.join(described(about) + typed(about))}}}" for name, about in properties.items()]
        fields.append(f"properties:{{{','.join(shown)}}}")
    if required := schema.get("required"):
        fields.append(f"required:[{','.join(f'{QUOTE}{name}{QUOTE}' for name in required)}]")
    return fields + typed(schema)


def field(name: str, value: Parsed) -> str:
    """A quoted field in Gemma 4's notation."""
    return f"{name}:{QUOTE}{value}{QUOTE}"


def described(about: Parsed) -> list[str]:
    """The description field, none when empty."""
    return [field("description", about["description"])] if about.get("description") else []


def typed(about: Parsed) -> list[str]:
    """The type field in capitals, none when empty."""
    return [field("type", str(about["type"]).upper())] if about.get("type") else []
