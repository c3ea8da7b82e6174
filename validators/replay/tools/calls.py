"""Tool calls as text: from the content of a function turn to what a format writes for its calls.

Source: llamafactory 0.9.5, data/formatter.py: FunctionFormatter.apply (which text is JSON) and data/tool_utils.py:
`function_formatter` of each class (how calls are written). Wrong shapes raise what they raise (see fault.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from validators.replay.tools.descriptions import QUOTE, Parsed, compact


@dataclass(frozen=True, slots=True)
class Call:
    """A call: its name (text, if the row is sound), its arguments as JSON says them, and those written back as JSON."""

    name: Parsed
    arguments: Parsed
    text: str


@dataclass(frozen=True, slots=True)
class Bracketed:
    """Text between two words: with the words, and without."""

    whole: str
    inner: str


def between(content: str, words: Sequence[str] | None) -> Bracketed | None:
    """The first text between an opening and the next closing word.

    Two searches instead of the trainer's lazy pattern, to the same end: where the first opening has no closing after
    it, no later one has, and a text full of openings costs no square of its length.
    """
    if not words or len(words) != 2:
        return None
    start = content.find(words[0])
    after = start + len(words[0])
    end = content.find(words[1], after) if start >= 0 else -1
    return None if end < 0 else Bracketed(content[start : end + len(words[1])], content[after:end])


def calls_of(source: str) -> list[Call]:
    """The calls in a JSON text: one, or an array of them."""
    parsed = json.loads(source)
    listed = parsed if isinstance(parsed, list) else [parsed]
    return [Call(call["name"], call["arguments"], compact(call["arguments"])) for call in listed]


def actions(calls: Sequence[Call]) -> str:
    """Lines of Action and Action Input (default)."""
    return "\n".join(f"Action: {call.name}\nAction Input: {call.text}" for call in calls)


def single(calls: Sequence[Call]) -> str:
    """The name, then the arguments; more than one call is refused, none is an error (glm4)."""
    if len(calls) > 1:
        raise ValueError("GLM-4 takes one call per turn")
    return f"{calls[0].name}\n{calls[0].text}"


def objects(calls: Sequence[Call], arguments: str = "arguments") -> list[dict[str, Parsed]]:
    """Calls as JSON objects."""
    return [{"name": call.name, arguments: call.arguments} for call in calls]


def array(calls: Sequence[Call]) -> str:
    """One JSON array (mistral)."""
    return compact(objects(calls))


def parameters(calls: Sequence[Call]) -> str:
    """A JSON object, or an array when there is not exactly one call (llama3)."""
    listed = objects(calls, "parameters")
    return compact(listed[0] if len(listed) == 1 else listed)


def tagged(calls: Sequence[Call]) -> str:
    """Each call as JSON in its own tags (qwen, ling)."""
    return "\n".join(f"<tool_call>\n{compact(call)}\n</tool_call>" for call in objects(calls))


def tagged_lines(calls: Sequence[Call]) -> str:
    """One line of JSON per call, all in one pair of tags (minimax1)."""
    return "<tool_calls>\n" + "\n".join(map(compact, objects(calls))) + "\n</tool_calls>"


def pythonic(calls: Sequence[Call]) -> str:
    """Calls in the manner of Python; text is quoted but not escaped (lfm2)."""
    written = []
    for call in calls:
        pairs = [
            f'{key}="{value}"' if isinstance(value, str) else f"{key}={compact(value)}"
            for key, value in call.arguments.items()
        ]
        written.append(f"{call.name}({', '.join(pairs)})")
    return f"<|tool_call_start|>[{', '.join(written)}]<|tool_call_end|>"


@dataclass(frozen=True, slots=True)
class Markup:
    """A writer of calls with one element per argument (qwen3_5, glm4_moe, minimax2, seed_oss).

    Arguments must be an object; values that are text stand as they are, others as JSON. A name that is not text is
    written as Python prints it, or refused if `strict`.
    """

    opening: tuple[str, str]
    argument: tuple[str, str, str]
    closing: str
    strict: bool

    def __call__(self, calls: Sequence[Call]) -> str:
        """All calls, one below the other."""
        return "\n".join(map(self.element, calls))

    def element(self, call: Call) -> str:
        """One call."""
        name = call.name if self.strict else f"{call.name}"
        before, middle, after = self.argument
        pieces = [self.opening[0] + name + self.opening[1]]
        for key, value in call.arguments.items():
            pieces.append(before + key + middle + (value if isinstance(value, str) else compact(value)) + after)
        return "".join(pieces) + self.closing


def gemma_calls(calls: Sequence[Call]) -> str:
    """Calls in Gemma 4's own notation: keys sorted and bare, text in its quotes (gemma4)."""
    return "".join(f"<|tool_call>call:{call.name}{{{gemma_arguments(call.arguments)}}}<tool_call|>" for call in calls)


def gemma_arguments(arguments: Parsed) -> str:
    """What stands in the braces of a call: pairs of an object, bare text, or any other value."""
    if isinstance(arguments, dict):
        return ",".join(f"{key}:{gemma_value(arguments[key])}" for key in sorted(arguments))
    return arguments if isinstance(arguments, str) else gemma_value(arguments)


def gemma_value(value: Parsed) -> str:
    """A value inside a call; numbers as Python prints them."""
    if isinstance(value, str):
        return f"{QUOTE}{value}{QUOTE}"
    if isinstance(value, dict):
        pairs = []
        for key in sorted(value):  # a loop: one frame per level, so that depth fails where it fails in the trainer
            pairs.append(f"{key}:{gemma_value(value[key])}")
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(gemma_value(item) for item in value) + "]"
    if value is None or isinstance(value, bool):
        return compact(value)
    return str(value)
