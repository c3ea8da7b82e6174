"""Chat templates of llamafactory 0.9.5, from the generated table, and how a conversation is rendered with them.

Follows data/template.py (Template, Llama2Template, ReasoningTemplate, Glm47ReasoningTemplate: _encode and
encode_multiturn) and data/formatter.py (StringFormatter.apply).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

from validators.llamafactory.generated import table_of
from validators.model import MediaKind, Role
from validators.replay.tools.formats import function_text, tool_text

TEXT_ONLY = "BasePlugin"
ENDS = ("bos_token", "eos_token")
PARTS = {
    Role.USER: "user",
    Role.ASSISTANT: "assistant",
    Role.OBSERVATION: "observation",
    Role.FUNCTION: "function",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a rendered turn that is encoded by itself: text, or one special token (`bos_token`, `eos_token`, or
    its own text)."""

    text: str
    special: bool = False


@dataclass(frozen=True, slots=True)
class Thinking:
    """The settings that reasoning templates follow (hparams/data_args.py)."""

    enable: bool | None = True
    preserve: bool = False
    mask_history: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """A chat template as data."""

    name: str
    spec: Mapping[str, Any]

    @property
    def plugin(self) -> str:
        """The class that handles media (data/mm_plugin.py)."""
        return str(self.spec["plugin"]["class"])

    @property
    def takes_media(self) -> bool:
        """Whether the plugin looks for placeholders at all; a text template takes them for plain text."""
        return self.plugin != TEXT_ONLY

    @property
    def is_reasoning(self) -> bool:
        """Whether thoughts in answers are added and removed."""
        return self.spec["class"] in ("ReasoningTemplate", "Glm47ReasoningTemplate")

    @property
    def efficient_eos(self) -> bool:
        """Whether one end token closes the whole row instead of each turn."""
        return bool(self.spec["efficient_eos"])

    @property
    def default_system(self) -> str:
        """The system prompt of rows that have none."""
        return str(self.spec["default_system"])

    @property
    def stop_words(self) -> tuple[str, ...]:
        """Texts that the trainer makes special tokens of (fix_special_tokens)."""
        return tuple(self.spec["stop_words"])

    @property
    def thought_words(self) -> tuple[str, str]:
        """What opens and closes a thought."""
        first, last = self.spec["thought_words"]
        return first, last

    def accepts(self, kind: MediaKind) -> bool:
        """Whether the template's plugin knows this modality (mm_plugin.py: `_validate_input`)."""
        return self.spec["plugin"][f"{kind.value}_token"] is not None

    def encode(
        self, turns: Sequence[tuple[Role, str]], system: str, tools: str, thinking: Thinking
    ) -> list[list[Piece]]:
        """The pieces of each turn, in order; `turns` are question and answer in turn.

        Raises validators.replay.tools.fault.ToolFault where the trainer cannot render a tool call or description.
        """
        if not self.is_reasoning:
            return self.encode_plain(turns, system, tools)
        spoken = [(role, text) for role, text in turns]
        discard = thinking.mask_history and not thinking.preserve
        if thinking.enable is False:
            spoken = self.without_thoughts(spoken, range(1, len(spoken), 2))
        if discard:
            spoken = self.without_thoughts(spoken, range(1, len(spoken) - 2, 2))
        encoded = self.encode_plain(spoken, system, tools)
        empty = Piece(self.empty_thought())
        for number in [len(spoken) - 2] if discard else range(0, len(spoken), 2):
            answer = spoken[number + 1][1]
            if not any(word.strip() in answer for word in self.thought_words):
                if thinking.enable:
                    encoded[number + 1].insert(0, empty)
                else:
                    encoded[number].append(empty)
        return encoded

    def without_thoughts(self, turns: list[tuple[Role, str]], numbers: range) -> list[tuple[Role, str]]:
        """The turns with the thoughts of some taken out (Template.remove_thought)."""
        first, last = map(re.escape, self.thought_words)
        pattern = re.compile(f"{first}(.*?){last}", re.DOTALL)
        chosen = set(numbers)
        return [
            (role, pattern.sub("", text).lstrip("\n") if number in chosen else text)
            for number, (role, text) in enumerate(turns)
        ]

    def empty_thought(self) -> str:
        """What stands for no thought; GLM-4.7 closes one that was never opened (Glm47ReasoningTemplate)."""
        first, last = self.thought_words
        return last if self.spec["class"] == "Glm47ReasoningTemplate" else first + last

    def encode_plain(self, turns: Sequence[tuple[Role, str]], system: str, tools: str) -> list[list[Piece]]:
        """Template._encode; Llama2Template puts the system prompt into the first question instead of before it."""
        into_question = self.spec["class"] == "Llama2Template"
        result = []
        for number, (role, text) in enumerate(turns):
            content = text
            pieces: list[Piece] = []
            if number == 0:
                pieces += self.fill("prefix", {})
                if system or tools:
                    described = self.describe(tools) if tools else ""
                    opening = self.fill("system", {"content": system + described})
                    if into_question:
                        content = (opening[0].text if role is Role.USER else "") + content
                    else:
                        pieces += opening
            values = {"content": content}
            if role is Role.USER and not into_question:
                values["idx"] = str(number // 2)
            elif role is Role.FUNCTION:
                values["content"] = self.call(content, into_question)
            result.append(pieces + self.fill(PARTS[role], values))
        return result

    def describe(self, tools: str) -> str:
        """The tools' text after the system prompt; phi4_mini's formatter takes it as it is."""
        if self.spec["tools"]["formatter"] == "StringFormatter":
            return self.fill("tools", {"content": tools})[0].text
        return tool_text(self.spec["tools"]["tool_format"], tools)

    def call(self, content: str, bare: bool) -> str:
        """A function turn's text."""
        thoughts, calls = (None, None) if bare else (self.thought_words, tuple(self.spec["tool_call_words"]))
        return function_text(self.spec["function"]["tool_format"], content, thoughts, calls)

    def fill(self, part: str, values: Mapping[str, str]) -> list[Piece]:
        """Slots with their placeholders replaced, once each and in order, as StringFormatter does."""
        pieces = []
        for slot in cast("Sequence[object]", self.spec[part]["slots"]):
            if isinstance(slot, str):
                text = slot
                for name, value in values.items():
                    text = text.replace("{{" + name + "}}", value, 1)
                pieces.append(Piece(text))
            elif isinstance(slot, Mapping) and slot.get("special", "eos_token") in ENDS:
                # a set that names anything else gives no token (template.py: _convert_elements_to_ids)
                pieces.append(Piece(str(slot.get("special") or slot.get("token")), special=True))
        return pieces

    def with_tool_format(self, tool_format: str) -> Template:
        """The template under the yaml's `tool_format` (get_template_and_fix_tokenizer)."""
        slots = ["{{content}}"] if self.efficient_eos else ["{{content}}", {"special": "eos_token"}]
        function = {"formatter": "FunctionFormatter", "slots": slots, "tool_format": tool_format}
        tools = {"formatter": "ToolFormatter", "slots": [], "tool_format": tool_format}
        return replace(self, spec=dict(self.spec) | {"function": function, "tools": tools})


def template_names() -> tuple[str, ...]:
    """Every template of the replayed llamafactory."""
    return tuple(table_of("templates"))


@cache
def find_template(name: str) -> Template | None:
    """The template of that name, None when the trainer has none."""
    spec = table_of("templates").get(name)
    return None if spec is None else Template(name, spec)
