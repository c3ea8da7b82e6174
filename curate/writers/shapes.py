"""Canonical rows in the forms that others read: one literal table, each with what it cannot hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from curate.build import Row
from curate.ingest.raw import NoUse, Turn
from curate.ingest.speech import calls_of, dump
from curate.writers.dataset_info import TAGS, TOOL_ROLES, entry
from curate.writers.form import Form
from curate.writers.sharegpt import sharegpt_row, sharegpt_schema
from validators.model import MediaKind, Role
from validators.sources.openai import BETWEEN_RESPONSES

GROUP_ROWS = 1000
CALL_KEYS = frozenset({"name", "arguments"})
JSON, LINES, PARQUET = ".json", ".jsonl", ".parquet"
Value = dict[str, object]


@dataclass(frozen=True, slots=True)
class Shape:
    """A form of rows.

    row: one row of it; NoUse where the form cannot hold the row at all. lost: the columns that it cannot hold.
    entry: the dataset_info.json entry, None where LLaMA-Factory does not read the form. suffixes: its files'.
    """

    name: str
    row: Callable[[Row, Form], Value]
    lost: tuple[str, ...]
    entry: Callable[[Form], Value] | None
    suffixes: tuple[str, ...] = (JSON, LINES)


def media_columns(row: Row, form: Form) -> Value:
    """A list for each modality that any row has."""
    return {kind.column: row.paths(kind) for kind in form.kinds}


def tools_column(row: Row, form: Form) -> Value:
    """The tools as JSON text, empty where a row has none, if any row has some."""
    return {"tools": row.tools or ""} if form.tools else {}


def system_of(row: Row) -> tuple[str, tuple[Turn, ...]]:
    """The system prompt, empty where there is none, and the other turns."""
    lead = row.turns[0]
    return (lead.content, row.turns[1:]) if lead.role == Role.SYSTEM else ("", row.turns)


def spoken(row: Row, name: str) -> tuple[str, tuple[Turn, ...]]:
    """As system_of, of a row without tools' turns."""
    if any(turn.role in TOOL_ROLES for turn in row.turns):
        raise NoUse(f"tool calls and responses have no place in {name}")
    return system_of(row)


def alpaca_row(row: Row, form: Form) -> Value:
    """The last question and answer, and the pairs before them as history."""
    system, turns = spoken(row, "alpaca")
    texts = [turn.content for turn in turns]
    history = [[texts[at], texts[at + 1]] for at in range(0, len(texts) - 2, 2)]
    value: Value = {"instruction": texts[-2], "input": "", "output": texts[-1], "history": history, "system": system}
    return value | media_columns(row, form) | tools_column(row, form)


def llava_row(row: Row, form: Form) -> Value:
    """A medium alone, or a list of several, under its modality's name; LLaVA knows two speakers."""
    _, turns = spoken(row, "llava")
    media = {kind.value: paths[0] if len(paths) == 1 else paths for kind in MediaKind if (paths := row.paths(kind))}
    names = {Role.USER: "human", Role.ASSISTANT: "gpt"}
    talk = [{"from": names[Role(turn.role)], "value": turn.content} for turn in turns]
    return {"id": row.id, **media, "conversations": talk}


def openai_row(row: Row, form: Form) -> Value:
    """Content and tools as text, the media in columns: as LLaMA-Factory's `formatting: openai` reads it."""
    return {"messages": list(openai_messages(row)), **media_columns(row, form), **tools_column(row, form)}


def openai_messages(row: Row) -> Iterator[Value]:
    """Tool calls apart from the content, and a message for each response."""
    number = 0
    open_calls: list[str] = []
    for turn in row.turns:
        if turn.role == Role.FUNCTION:
            calls = list(named_calls(turn.content))
            open_calls = [f"call_{number + place}" for place in range(len(calls))]
            number += len(calls)
            yield {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": name, "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
                    for name, call in zip(open_calls, calls, strict=True)
                ],
            }
        elif turn.role == Role.OBSERVATION:
            for place, response in enumerate(turn.content.split(BETWEEN_RESPONSES)):
                known = open_calls[place] if place < len(open_calls) else "call_none"
                yield {"role": "tool", "content": response, "tool_call_id": known}
        else:
            yield {"role": turn.role, "content": turn.content}


def named_calls(content: str) -> Iterator[dict[str, str]]:
    """The calls of a function turn, their arguments as JSON text."""
    for call in calls_of(content):
        if not isinstance(call, dict) or not isinstance(call.get("name"), str) or not call.keys() <= CALL_KEYS:
            raise NoUse("a tool call that is no object of name and arguments")
        yield {"name": call["name"], "arguments": dump(call.get("arguments", {}))}


def ms_swift_row(row: Row, form: Form) -> Value:
    """A message for each call and each response."""
    messages: list[Value] = []
    for turn in row.turns:
        if turn.role == Role.FUNCTION:
            messages += [{"role": "tool_call", "content": dump(call)} for call in calls_of(turn.content)]
        elif turn.role == Role.OBSERVATION:
            parts = turn.content.split(BETWEEN_RESPONSES)
            messages += [{"role": "tool_response", "content": part} for part in parts]
        else:
            messages.append({"role": turn.role, "content": turn.content})
    return {"messages": messages, **media_columns(row, form), **({"tools": row.tools} if row.tools else {})}


def columns(form: Form, named: Mapping[str, str]) -> Value:
    """The `columns` of an entry."""
    own = [*(kind.column for kind in form.kinds), *(["tools"] if form.tools else [])]
    return {**named, **{column: column for column in own}}


def sharegpt_entry(form: Form) -> Value:
    """All tags spelt out."""
    return {key: value for key, value in entry("", form).items() if key != "file_name"}


def openai_entry(form: Form) -> Value:
    """The tags of OpenAI's roles; a function tag that no message has, since calls are told by their own key."""
    tags = TAGS | {"observation_tag": "tool", "function_tag": "function"}
    return {"formatting": "openai", "columns": columns(form, {"messages": "messages"}), "tags": tags}


def alpaca_entry(form: Form) -> Value:
    """Each column named."""
    names = ("instruction", "input", "output", "history", "system")
    named = dict(zip(("prompt", "query", "response", "history", "system"), names, strict=True))
    return {"formatting": "alpaca", "columns": columns(form, named)}


SHAPES = (
    Shape("alpaca", alpaca_row, ("split", "meta"), alpaca_entry),
    Shape("llava", llava_row, ("system", "tools", "split", "meta"), None),
    Shape("ms-swift", ms_swift_row, ("split", "meta"), None),
    Shape("openai", openai_row, ("split", "meta"), openai_entry),
    Shape("parquet", sharegpt_row, ("split", "meta"), sharegpt_entry, (PARQUET,)),
    Shape("sharegpt", sharegpt_row, ("split", "meta"), sharegpt_entry),
)
BY_NAME: Mapping[str, Shape] = {shape.name: shape for shape in SHAPES}


def lost(shape: Shape, row: Row) -> Iterator[str]:
    """The columns that this row has and the form does not."""
    has = {
        "system": row.turns[0].role == Role.SYSTEM,
        "tools": row.tools is not None,
        "split": row.split is not None,
        "meta": row.meta is not None,
    }
    yield from (name for name in shape.lost if has[name])


def write_values(path: Path, values: Iterator[Value], form: Form) -> None:
    """Rows to a file of the kind that its suffix says."""
    if path.suffix == PARQUET:
        write_parquet(path, values, form)
        return
    with path.open("w", encoding="utf-8") as file:
        if path.suffix == LINES:
            file.writelines(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
            return
        for number, value in enumerate(values):
            text = json.dumps(value, ensure_ascii=False, indent=2).replace("\n", "\n  ")
            file.write(("," if number else "[") + "\n  " + text)
        file.write("\n]\n")


def write_parquet(path: Path, values: Iterator[Value], form: Form) -> None:
    """Rows in groups of bearable size."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = sharegpt_schema(form)
    with pq.ParquetWriter(path, schema) as writer:
        while group := list(islice(values, GROUP_ROWS)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
