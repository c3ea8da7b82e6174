"""Messages to turns: role names, content given as text or as parts, tool calls and their responses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from curate.ingest.fields import NOTHING, Fields
from curate.ingest.given import by_kind, given, short
from curate.ingest.raw import ROLES, Media, NoUse, RawItem, Turn
from validators.model import MediaKind, Role
from validators.sources.openai import BETWEEN_RESPONSES

TEXT_PARTS = ("text", "input_text", "output_text")
ENVELOPES = ("path", "url", "base64")
MEDIA_COLUMNS = tuple((kind, name) for kind in MediaKind for name in (kind.value, kind.column))


@dataclass(slots=True)
class Speech:
    """Turns on their way: what was said, the media that parts brought along, and what had to be left."""

    turns: list[Turn] = field(default_factory=list)
    media: list[tuple[MediaKind, object]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def add(self, role: str, content: str) -> None:
        """One more turn; neighbouring calls, and neighbouring responses, are one turn as for the trainer.

        llamafactory 0.9.5, data/converter.py: OpenAIDatasetConverter joins responses in this way, and
        data/formatter.py: FunctionFormatter takes a list of calls.
        """
        last = self.turns[-1] if self.turns else None
        if last is None or last.role != role or role not in (Role.FUNCTION, Role.OBSERVATION):
            self.turns.append(Turn(role, content))
        elif role == Role.OBSERVATION:
            self.turns[-1] = Turn(role, f"{last.content}{BETWEEN_RESPONSES}{content}")
        else:
            self.turns[-1] = Turn(role, calls_text([*calls_of(last.content), *calls_of(content)]))


def read_messages(
    fields: Fields, value: object, keys: tuple[str, str], column: str, roles: Mapping[str, str] = ROLES
) -> Speech:
    """A list of messages under `column`; `keys` are the names of role and content in each."""
    if not isinstance(value, list) or not value:
        raise NoUse("no list of messages")
    speech = Speech()
    role_key, content_key = keys
    for number, message in enumerate(value):
        if not isinstance(message, Mapping):
            raise NoUse(f"message {number} is no object")
        role = message.get(role_key)
        if not isinstance(role, str) or role not in roles:
            raise NoUse(f"message {number} has the role {role!r}")
        content = read_content(message.get(content_key), speech, f"message {number}")
        known = {role_key, content_key}
        if calls := message.get("tool_calls"):
            known.add("tool_calls")
            if content.strip():
                speech.left.append(f"{column}[].{content_key} beside tool_calls")
            speech.add(Role.FUNCTION, calls_text(openai_calls(calls, speech, f"message {number}")))
        elif not content.strip():
            raise NoUse(f"message {number} has no text")
        else:
            speech.add(roles[role], content)
        speech.left += [f"{column}[].{key}" for key in message if key not in known and message[key] not in NOTHING]
    fields.leave(*speech.left)
    return speech


def read_content(value: object, speech: Speech, where: str) -> str:
    """Text, or parts of text and media: their text with a tag for each medium."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise NoUse(f"{where} has no text")
    return "".join(read_part(part, speech, f"{where} part {number}") for number, part in enumerate(value))


def read_part(part: object, speech: Speech, where: str) -> str:
    """One part: its text, or its medium's tag."""
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise NoUse(f"{where} is {short(part)}")
    kind_name = part.get("type") or next((name for name in ("text", *MediaKind) if part.get(name) is not None), None)
    if kind_name in TEXT_PARTS:
        text = part.get("text")
        if not isinstance(text, str):
            raise NoUse(f"{where} has no text")
        leave_rest(part, {"type", "text"}, speech, "text")
        return text
    # image, image_url, input_image …: the modality is the word that is no frame around it
    word = str(kind_name).removeprefix("input_").removesuffix("_url")
    if word not in list(MediaKind):
        raise NoUse(f"{where} has the type {short(kind_name)}")
    kind = MediaKind(word)
    key = next((key for key in (kind_name, word, f"{word}_url", *ENVELOPES) if part.get(key) is not None), None)
    if key is None:  # a place only; the medium is in a column
        leave_rest(part, {"type"}, speech, word)
        return kind.tag
    value = part[key]
    if key == "input_audio" and isinstance(value, Mapping):
        value = {"base64": value.get("data")}
    elif isinstance(value, Mapping):
        speech.left += [f"{key}.{name}" for name in value if name not in (*ENVELOPES, "bytes")]
    elif isinstance(value, list):
        raise NoUse(f"{where} is a {word} as a list of frames, which a row of paths cannot hold")
    speech.media.append((kind, {"base64": value} if key == "base64" else value))
    leave_rest(part, {"type", key}, speech, word)
    return kind.tag


def leave_rest(part: Mapping[str, object], known: set[str], speech: Speech, word: str) -> None:
    """Note a part's other keys."""
    speech.left += [f"{word}.{key}" for key, value in part.items() if key not in known and value not in NOTHING]


def talk(fields: Fields, speech: Speech, media: Media = ()) -> RawItem:
    """The row of a conversation: its media from the parts or from the columns, its system prompt and tools."""
    inside = tuple((kind, given(value, kind.value)) for kind, value in speech.media)
    if inside and media:
        raise NoUse("media both in the messages and in columns, so that their order is unknown")
    turns = tuple(speech.turns)
    system = fields.verbatim("system")
    if system is not None:
        if turns and turns[0].role == Role.SYSTEM:
            fields.leave("system (the messages have their own)")
        else:
            turns = (Turn(Role.SYSTEM, system), *turns)
    return fields.item(inside or media, turns, tools=tools_text(fields.get("tools")))


def columns_of_media(fields: Fields) -> Media:
    """The media under `image`, `images`, `video` …, modality by modality."""
    found: Media = ()
    for kind, name in MEDIA_COLUMNS:
        value = fields.get(name)
        if value is not None:
            found += by_kind(value, kind, name)
    return found


def tools_text(value: object) -> str | None:
    """Tools as JSON text."""
    if isinstance(value, str):
        return value if value.strip() else None
    return dump(value) if value else None


def openai_calls(value: object, speech: Speech, where: str) -> list[object]:
    """OpenAI's tool calls as name and arguments: an object, since the trainer writes the arguments as JSON itself."""
    if not isinstance(value, list):
        raise NoUse(f"{where} has tool_calls {short(value)}")
    calls: list[object] = []
    for call in value:
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise NoUse(f"{where} has a tool call without a function's name")
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments or "{}")
            except (ValueError, RecursionError) as error:
                raise NoUse(f"{where} has a tool call whose arguments are no JSON") from error
        calls.append({"name": function["name"], "arguments": arguments if arguments is not None else {}})
        speech.left += [f"tool_calls[].{key}" for key in call if key not in ("type", "function")]
    return calls


def calls_of(content: str) -> list[object]:
    """The calls in a function turn."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NoUse("a tool call that is no JSON") from error
    return value if isinstance(value, list) else [value]


def calls_text(calls: list[object]) -> str:
    """A function turn's content: one call, or a list of several."""
    return dump(calls[0] if len(calls) == 1 else calls)


def dump(value: object) -> str:
    """JSON text as the trainer writes it."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise NoUse(f"{short(value)} cannot be written as JSON") from error
