"""`formatting: openai`: messages with tool calls and tool responses.

Source: llamafactory 0.9.5, data/converter.py: OpenAIDatasetConverter. Its ways are kept: a role that no tag names is a
KeyError; tool calls become the JSON text of their functions; neighbouring tool responses are joined to one turn, and
those that end the conversation are lost; and the system prompt gets "detailed thinking off" where no tools are given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from validators.model import Role
from validators.sources.aligner import Aligner, storable
from validators.sources.batch import Shape

BETWEEN_RESPONSES = "\n</tool_response>\n<tool_response>\n"
THINKING = ("detailed thinking on", "detailed thinking off")
QUESTIONS = (Role.USER.value, Role.OBSERVATION.value)
ANSWERS = (Role.ASSISTANT.value, Role.FUNCTION.value)


class OpenAi(Aligner):
    """Roles are mapped first, then held against the order."""

    def tools(self, value: Mapping[str, object]) -> str | None:
        """Tools as text; objects and lists are dumped."""
        tools = value.get(self.tools_column) if self.tools_column else None
        if isinstance(tools, dict | list):
            return storable(dump(tools) or "")
        return storable(tools) if isinstance(tools, str) else None

    def align(self, row: int, value: Mapping[str, object]) -> int:
        """The row's messages, with the system prompt as the converter words it."""
        messages = self.messages(row, value)
        if messages is None:
            return 0
        lead = self.leads(row, value, messages)
        pos = 0
        responses: list[str] = []
        began = (0, "")
        broken = False
        for turn, message in enumerate(messages):
            place = f"{self.column}[{turn}]"
            if not isinstance(message, Mapping):
                if not broken:
                    self.fault(Shape.MESSAGE_NOT_OBJECT, row, place, message)
                broken = True
                continue
            self.census.message_keys.update(message.keys())
            if turn == 0 and lead:
                self.census.roles[str(self.system_tag)] += 1
                continue
            role = message.get(self.role_key) if self.role_key is not None else None
            content = message.get(self.content_key) if self.content_key is not None else None
            word = storable(role) if isinstance(role, str) else None if role is None else str(role)
            self.census.roles[str(word)] += 1
            calls = message.get("tool_calls")
            if calls and role in (self.entry.tags["assistant_tag"], self.entry.tags["function_tag"]):
                text = functions(calls)
                if text is None:
                    self.fault(Shape.TOOL_CALL, row, f"{place}.tool_calls", calls)
                content, role = text or "", self.entry.tags["function_tag"]
            if role == self.entry.tags["observation_tag"]:
                if not isinstance(content, str):
                    self.fault(Shape.TOOL_CALL, row, f"{place}.{self.content_key}", content)
                began = began if responses else (turn, str(word))
                responses.append(content if isinstance(content, str) else "")
                continue
            if responses:
                joined = BETWEEN_RESPONSES.join(responses)
                self.add_turn(row, began[0], pos, began[1], joined, Role.OBSERVATION.value)
                pos, responses = pos + 1, []
            canon = self.names.get(role) if isinstance(role, str) or role is None else None
            if canon is None:
                self.fault(Shape.ROLE_UNKNOWN, row, f"{place}.{self.role_key}", role)
            elif not isinstance(content, str) and self.content_key in message:
                self.fault(Shape.CONTENT_NOT_TEXT, row, f"{place}.{self.content_key}", content)
            self.add_turn(row, turn, pos, word, content if isinstance(content, str) else None, canon)
            pos += 1
        return len(messages)

    def add_turn(self, row: int, turn: int, pos: int, word: str | None, content: str | None, canon: str | None) -> None:
        """One aligned turn; an unknown role has its own fault and does not count as misplaced."""
        fits = canon is None or canon in (QUESTIONS, ANSWERS)[pos % 2]
        text = None if content is None else storable(content)
        self.turns.append((row, turn, pos, word, text, False, canon, fits, None))

    def leads(self, row: int, value: Mapping[str, object], messages: list[object]) -> bool:
        """Settle the system prompt; whether the first message gives it."""
        first = messages[0] if messages else None
        lead = bool(self.system_tag) and isinstance(first, Mapping) and self.role_key is not None
        lead = lead and isinstance(first, Mapping) and first.get(self.role_key) == self.system_tag
        if lead and isinstance(first, Mapping):
            system = first.get(self.content_key) if self.content_key is not None else None
        else:
            system = value.get(self.system_column, "") if self.system_column else ""
        if isinstance(system, str) or not system:
            tools = value.get(self.tools_column) if self.tools_column else ""
            given = isinstance(tools, dict | list) or bool(tools)  # dumped, even an empty list is some text
            # an empty list stays what it is where tools are given
            system = system if not system and given else worded(system if isinstance(system, str) else "", given)
        if lead:
            self.add_system(row, 0, system, f"{self.column}[0].{self.content_key}")
        else:
            self.add_system(row, -1, system, self.system_column or "system")
        return lead


def worded(system: str, tools: bool) -> str:
    """The system prompt as the converter leaves it."""
    if not system:
        return "" if tools else THINKING[1]
    if tools:
        return system + "\n"
    return system if any(word in system for word in THINKING) else f"{system}\n{THINKING[1]}"


def functions(calls: object) -> str | None:
    """The JSON text of the calls' functions; None where a call is none."""
    if not isinstance(calls, list) or any(not isinstance(call, Mapping) or "function" not in call for call in calls):
        return None
    return dump([call["function"] for call in calls])


def dump(value: object) -> str | None:
    """JSON as the converter writes it; None for values, such as timestamps, that have no JSON."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return None
