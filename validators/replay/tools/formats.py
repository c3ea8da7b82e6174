"""Every tool format of the trainer, and the two texts that it makes: the tools of a row, the calls of a turn.

Source: llamafactory 0.9.5, data/tool_utils.py: TOOLS; data/formatter.py: ToolFormatter and FunctionFormatter. The
prompts' wording is data, in the generated tables (validators/llamafactory/generated.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

from validators.llamafactory.generated import table_of
from validators.replay.tools.calls import (
    Call,
    Markup,
    actions,
    array,
    between,
    calls_of,
    gemma_calls,
    parameters,
    pythonic,
    single,
    tagged,
    tagged_lines,
)
from validators.replay.tools.descriptions import (
    Parsed,
    ToolList,
    bare,
    bare_or_same,
    declared,
    indented,
    one_by_one,
    prose,
    titled,
    together,
    whole,
    wrapped,
)
from validators.replay.tools.fault import ToolFault, trainer_faults


@dataclass(frozen=True, slots=True)
class ToolFormat:
    """How one format writes tools (inside the prompt of that name, if any, before `ending`) and calls."""

    describe: Callable[[Parsed], ToolList]
    write: Callable[[Sequence[Call]], str]
    prompt: str = ""
    ending: str = ""


QWEN35_CALL = Markup(
    ("<tool_call>\n<function=", ">"),
    ("\n<parameter=", ">\n", "\n</parameter>"),
    "\n</function>\n</tool_call>",
    strict=False,
)
GLM4_MOE_CALL = Markup(
    ("\n<tool_call>", ""), ("\n<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>"), "", strict=True
)
MINIMAX2_CALL = Markup(
    ('<invoke name="', '">'), ('\n<parameter name="', '">', "</parameter>"), "\n</invoke>", strict=False
)
SEED_CALL = Markup(
    ("\n<seed:tool_call>\n<function=", ""),  # the name's tag is never closed, unlike in the prompt
    ("\n<parameter=", ">", "</parameter>"),
    "\n</function>\n</seed:tool_call>",
    strict=True,
)
WRAPPED_LINES = one_by_one(wrapped, "\n", "")

FORMATS = {
    "default": ToolFormat(prose, actions, "default"),
    "gemma4": ToolFormat(declared, gemma_calls),
    "glm4": ToolFormat(titled, single, "glm4"),
    "glm4_moe": ToolFormat(WRAPPED_LINES, GLM4_MOE_CALL, "glm4_moe"),
    "lfm2": ToolFormat(together(bare_or_same, "", ""), pythonic, "lfm2"),
    "ling": ToolFormat(WRAPPED_LINES, tagged, "ling", "\ndetailed thinking off"),
    "llama3": ToolFormat(indented, parameters, "llama3"),
    "minimax1": ToolFormat(one_by_one(bare, "", "\n"), tagged_lines, "minimax_m1"),
    "minimax2": ToolFormat(one_by_one(bare, "<tool>", "</tool>\n"), MINIMAX2_CALL, "minimax_m2"),
    "mistral": ToolFormat(together(wrapped, "[AVAILABLE_TOOLS] ", "[/AVAILABLE_TOOLS]"), array),
    "qwen": ToolFormat(WRAPPED_LINES, tagged, "qwen"),
    "qwen3_5": ToolFormat(one_by_one(bare_or_same, "\n", ""), QWEN35_CALL, "qwen35"),
    "seed_oss": ToolFormat(whole, SEED_CALL, "seed"),
}


@cache
def prompts() -> Mapping[str, str]:
    """The generated prompts, as format strings."""
    return table_of("prompts")


def find_format(name: str) -> ToolFormat:
    """The format of that name. Raises ToolFault where the trainer has none (tool_utils.py: get_tool_utils)."""
    if name not in FORMATS:
        raise ToolFault("ValueError", f"no tool format named {name}")
    return FORMATS[name]


def tool_text(tool_format: str, tools: str, today: date | None = None) -> str:
    """The text that ToolFormatter.apply(content=tools) appends to the system prompt; "" for an empty list or object.

    `tools` is the row's column as the trainer gets it: JSON text, not empty. `today` stands for the local date that
    the llama3 format writes (so its rows change with the day of preprocessing, seldom in length).
    Raises ToolFault where the trainer does, ToolTextTooLong where only a count of the text is out of reach.
    """
    form = find_format(tool_format)
    with trainer_faults():
        parsed = json.loads(tools)
        if len(parsed) == 0:
            return ""
        listed = form.describe(parsed)
        if not form.prompt:
            return listed.text
        day = (today or date.today()).strftime("%d %b %Y")
        return prompts()[form.prompt].format(tool_text=listed.text, tool_names=listed.names, date=day) + form.ending


def function_text(
    tool_format: str,
    content: str,
    thought_words: Sequence[str] | None = None,
    tool_call_words: Sequence[str] | None = None,
) -> str:
    """The text that FunctionFormatter.apply puts in the place of {{content}} for a function turn.

    Where the content has a text between the tool call words, that is the JSON and the rest goes before the calls;
    else the first thought goes before them and all but it is the JSON. Both words are None under Llama2Template,
    which hands none over (data/template.py). Raises ToolFault where the trainer does.
    """
    form = find_format(tool_format)
    with trainer_faults():
        if call := between(content, tool_call_words):
            before, source = content.replace(call.whole, ""), call.inner
        elif thought := between(content, thought_words):
            before, source = thought.whole, content.replace(thought.whole, "")
        else:
            before, source = "", content
        return before + form.write(calls_of(source))
