"""Tool lists and tool calls for the comparison: sound ones, odd ones, broken ones. All of it from a seed."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

NAMES = ["get_weather", "search", "größe", "搜索", "a b", 'quo"te', "{{content}}", "{name}", ""]
TEXTS = [*NAMES, "Line one\nline two", "emoji 🙂", "\ud800", "\\", "</tool_call>", '<|"|>', "İß", "\u2028", "0", "%s"]
NUMBERS: list[Any] = [0, -1, 10**20, 1.5, -0.0, 1e300, float("nan"), float("inf"), -float("inf"), True, False, None]
TYPES: list[Any] = ["string", "integer", "object", "array", ["string", "null"], "", None, 3]
WORDS = [("<think>\n", "\n</think>\n\n"), ("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("", ""), ("<t>", "")]
CALL_WORDS = [("<tool_call>", "</tool_call>"), ("<|x|>", "<|x|>"), ("(", ")"), None]


def value(rng: random.Random, depth: int = 0) -> Any:
    """Any JSON value."""
    kind = rng.random()
    if depth < 3 and kind < 0.2:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if depth < 3 and kind < 0.4:
        return {rng.choice(TEXTS): value(rng, depth + 1) for _ in range(rng.randrange(4))}
    return rng.choice(TEXTS) if kind < 0.75 else rng.choice(NUMBERS)


def schema(rng: random.Random, depth: int = 0) -> dict[str, Any]:
    """A JSON schema of one argument."""
    made: dict[str, Any] = {}
    if rng.random() < 0.9:
        made["type"] = rng.choice(TYPES[:4]) if rng.random() < 0.9 else rng.choice(TYPES)
    if rng.random() < 0.7:
        made["description"] = rng.choice(TEXTS)
    if rng.random() < 0.25:
        made["enum"] = rng.sample(TEXTS, rng.randrange(4))
    if rng.random() < 0.25 and depth < 2:
        made["items"] = schema(rng, depth + 1)
    if rng.random() < 0.15 and depth < 2:
        made["properties"] = {rng.choice(NAMES): schema(rng, depth + 1) for _ in range(2)}
    return made


def tool(rng: random.Random) -> dict[str, Any]:
    """A sound tool, in OpenAI's envelope or out of it."""
    properties = {rng.choice(NAMES): schema(rng) for _ in range(rng.randrange(4))}
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if rng.random() < 0.7:
        parameters["required"] = [name for name in properties if rng.random() < 0.5]
    made: dict[str, Any] = {"name": rng.choice(NAMES), "description": rng.choice(TEXTS), "parameters": parameters}
    if rng.random() < 0.2:
        made["response"] = {"type": rng.choice(["object", "OBJECT", "string"]), "description": rng.choice(TEXTS)}
    if rng.random() < 0.2:
        del made["description"]
    return {"type": "function", "function": made} if rng.random() < 0.5 else made


def call(rng: random.Random) -> dict[str, Any]:
    """A sound call, its arguments now and then something else than an object."""
    arguments: Any = {rng.choice(TEXTS): value(rng) for _ in range(rng.randrange(4))}
    if rng.random() < 0.12:
        arguments = json.dumps(arguments) if rng.random() < 0.5 else value(rng)
    return {"name": rng.choice(NAMES), "arguments": arguments}


def broken(rng: random.Random, data: Any) -> Any:
    """The same with one member gone, or one value anywhere replaced by another."""
    data = copy.deepcopy(data)
    places: list[tuple[Any, Any]] = []
    waiting = [data]
    while waiting:
        here = waiting.pop()
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        places += [(here, key) for key in keys]
        waiting += [here[key] for key in keys if isinstance(here[key], dict | list)]
    if not places:
        return value(rng)
    holder, key = rng.choice(places)
    if rng.random() < 0.5:
        del holder[key]
    else:
        holder[key] = value(rng)
    return data


def as_json(rng: random.Random, data: Any) -> str:
    """JSON text in one of several manners, now and then cut or garnished."""
    text = json.dumps(data, ensure_ascii=rng.random() < 0.3, indent=rng.choice([None, None, 2]))
    chance = rng.random()
    if chance < 0.04:
        return text[: rng.randrange(len(text) + 1)]
    if chance < 0.07:
        return rng.choice(["\ufeff", "//", "x", " \n", "'"]) + text
    return text + "\n" if chance < 0.12 else text


def tools_case(rng: random.Random) -> str:
    """The text of a tools column."""
    data: Any = [tool(rng) for _ in range(rng.randrange(4))]
    if rng.random() < 0.35:
        data = broken(rng, data)
    if rng.random() < 0.05:
        data = rng.choice([value(rng), tool(rng), {}, "", [], None, "ab"])
    return as_json(rng, data)


def function_case(rng: random.Random) -> tuple[str, Any, Any]:
    """A function turn's content, thought words and tool call words."""
    thought, calls = rng.choice([*WORDS, None, ("a",), ()]), rng.choice(CALL_WORDS)
    data: Any = call(rng) if rng.random() < 0.5 else [call(rng) for _ in range(rng.randrange(4))]
    if rng.random() < 0.25:
        data = broken(rng, data)
    text = as_json(rng, data)
    chance = rng.random()
    if calls and chance < 0.3:
        text = calls[0] + text + calls[1]
        if rng.random() < 0.3:
            text = rng.choice([text + "\n" + text, calls[1] + text, text + calls[0], calls[0] + text])
        text = rng.choice(["", "I will look.\n", "x" + text]) + text
    if thought and len(thought) == 2 and rng.random() < 0.5:
        idea = thought[0] + rng.choice(TEXTS) + thought[1]
        text = rng.choice([idea + text, text + idea, idea + text + idea, idea + idea + text, thought[1] + text])
    return text, thought, calls
