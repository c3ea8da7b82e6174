"""Tool descriptions and tool calls: the text is the trainer's, or both fail alike."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from tests.replay.tool_cases import as_json, call, function_case, tools_case
from validators.llamafactory.generated import table_of
from validators.replay.tools.calls import between
from validators.replay.tools.descriptions import MAX_INDENTED
from validators.replay.tools.fault import ToolFault, ToolTextTooLong
from validators.replay.tools.formats import FORMATS, function_text, tool_text

CASES = 600
SEED = 20
Result = tuple[str, str]


def real(run: Callable[[], Any]) -> Result:
    """What the trainer makes: ("text", it) or ("fault", the class of the exception)."""
    try:
        return "text", run()
    except Exception as fault:
        return "fault", type(fault).__name__


def ours(run: Callable[[], str]) -> Result:
    """The same of the replay; any other exception than its own fault passes through."""
    try:
        return "text", run()
    except ToolFault as fault:
        return "fault", fault.error


@pytest.mark.trainer
def test_every_format_of_the_installed_trainer_is_replayed() -> None:
    """The formats are those of the installed table, none less, none more."""
    from llamafactory.data.tool_utils import TOOLS

    assert set(FORMATS) == set(TOOLS)


@pytest.mark.trainer
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_tool_descriptions_are_the_trainers(name: str) -> None:
    """A tools column gives the same text as in the trainer, or fails with the same exception."""
    from llamafactory.data.formatter import ToolFormatter

    formatter = ToolFormatter(tool_format=name)
    seen = []
    for number in range(CASES):
        tools = tools_case(random.Random(f"{SEED} {number}"))
        expected = real(lambda tools=tools: formatter.apply(content=tools)[0])
        assert ours(lambda tools=tools: tool_text(name, tools)) == expected, tools
        seen.append(expected[0])
    assert seen.count("text") > CASES / 4 and seen.count("fault") > CASES / 50


@pytest.mark.trainer
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_tool_calls_are_the_trainers(name: str) -> None:
    """A function turn gives the same text as in the trainer, or fails with the same exception."""
    from llamafactory.data.formatter import FunctionFormatter

    formatter = FunctionFormatter(slots=["{{content}}"], tool_format=name)
    seen = []
    for number in range(CASES):
        content, thought, calls = function_case(random.Random(f"{SEED} {number}"))
        expected = real(
            lambda content=content, thought=thought, calls=calls: formatter.apply(
                content=content, thought_words=thought, tool_call_words=calls
            )[0]
        )
        found = ours(lambda content=content, thought=thought, calls=calls: function_text(name, content, thought, calls))
        assert found == expected, (content, thought, calls)
        seen.append(expected[0])
    assert seen.count("text") > CASES / 4 and seen.count("fault") > CASES / 50


@pytest.mark.trainer
def test_every_template_calls_tools_as_the_table_says() -> None:
    """With the words and format that the table gives a template, a turn is what the template's own formatter makes."""
    from llamafactory.data.template import TEMPLATES

    for name, template in TEMPLATES.items():
        spec = table_of("templates")[name]
        for number in range(6):
            rng = random.Random(f"{name} {number}")
            opening, closing = rng.choice([template.thought_words, template.tool_call_words])
            text = as_json(rng, call(rng))
            content = rng.choice([text, opening + "Hm." + closing + text, "Hm." + opening + text + closing])
            expected = real(
                lambda content=content, template=template: "".join(
                    slot
                    for slot in template.format_function.apply(
                        content=content,
                        thought_words=template.thought_words,
                        tool_call_words=template.tool_call_words,
                    )
                    if isinstance(slot, str)
                )
            )
            found = ours(
                lambda content=content, spec=spec: "".join(
                    slot.replace(
                        "{{content}}",
                        function_text(
                            spec["function"]["tool_format"], content, spec["thought_words"], spec["tool_call_words"]
                        ),
                    )
                    for slot in spec["function"]["slots"]
                    if isinstance(slot, str)
                )
            )
            assert found == expected, (name, content)


@pytest.mark.trainer
def test_a_tools_column_that_is_not_text_fails_as_in_the_trainer() -> None:
    """Lists, objects and numbers in the place of JSON text are a fault, though the list in them be sound."""
    from llamafactory.data.formatter import ToolFormatter

    for tools in ([], [{"name": "a"}], {"name": "a"}, 3, None):
        expected = real(lambda tools=tools: ToolFormatter(tool_format="qwen").apply(content=tools)[0])
        assert ours(lambda tools=tools: tool_text("qwen", tools)) == expected == ("fault", "TypeError")


@pytest.mark.trainer
@pytest.mark.parametrize("name", ["", "qwen2", "Default"])
def test_an_unknown_format_fails_as_in_the_trainer(name: str) -> None:
    """A tool_format that the trainer does not know is a fault of the same class, for tools and calls alike."""
    from llamafactory.data.formatter import ToolFormatter

    expected = real(lambda: ToolFormatter(tool_format=name))
    assert ours(lambda: tool_text(name, "[]")) == ours(lambda: function_text(name, "[]")) == expected


def test_the_date_is_the_day_of_preprocessing() -> None:
    """Of all formats only llama3 writes the date, which is today's unless told otherwise."""
    tools = json.dumps([{"name": "a", "description": "b", "parameters": {"type": "object", "properties": {}}}])
    for name in FORMATS:
        one, other = tool_text(name, tools, date(2025, 1, 2)), tool_text(name, tools, date(2025, 11, 23))
        assert (one != other) == (name == "llama3")
    assert "Today Date: 02 Jan 2025\n" in tool_text("llama3", tools, date(2025, 1, 2))


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_hostile_tools_and_calls_end_in_a_typed_fault(name: str) -> None:
    """Depth, width and endless openings give a text of bounded length, a ToolFault or ToolTextTooLong."""
    deep = "[" * 100_000
    nested = '[{"name": "a", "parameters": ' + "[" * 200 + ",".join(["1"] * 100_000) + "]" * 200 + "}]"
    openings = "<think>" * 100_000
    for run in (
        lambda: tool_text(name, deep),
        lambda: tool_text(name, nested),
        lambda: tool_text(name, '[{"name": "a", "parameters": ' + "9" * 5000 + "}]"),
        lambda: function_text(name, openings, ("<think>", "</think>"), ("<think>", "</think>")),
        lambda: function_text(name, deep),
        lambda: function_text(name, '{"name": "a", "arguments": {"x": ' + "[" * 900 + "]" * 900 + "}}"),
    ):
        try:
            assert len(run()) <= MAX_INDENTED
        except (ToolFault, ToolTextTooLong) as fault:
            assert len(str(fault)) < 300
    if name in ("glm4", "llama3"):
        with pytest.raises(ToolTextTooLong):
            tool_text(name, nested)


def test_endless_openings_are_searched_once_for_a_closing() -> None:
    """Not once for each opening, which would look at the square of the text's length."""
    looked_at: list[int] = []

    class Searched(str):
        def find(self, word: str, start: int = 0) -> int:  # type: ignore[override]
            at = super().find(word, start)
            looked_at.append((at if at >= 0 else len(self)) - start)
            return at

    text = Searched("<think>" * 100_000)
    assert between(text, ("<think>", "</think>")) is None
    assert 0 < sum(looked_at) <= len(text)
