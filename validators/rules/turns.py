"""TRN: roles and their order."""

from __future__ import annotations

import json
from collections.abc import Iterator

import polars as pl

from validators.budgets.family import Why
from validators.findings import Found, Place
from validators.model import Role
from validators.replay.align import accepted, role_names
from validators.rules.oddities import quoted
from validators.rules.rule import BatchView

SHORTEST = 16  # bytes of a question and its answer that are no mere "go on" and "yes"


def no_messages(view: BatchView) -> Iterator[Found]:
    """A row without turns.

    ## What it finds
    An empty list of messages, or one that holds a system prompt only.

    ## Why it matters
    LLaMA-Factory 0.9.5 drops it with "Dropped invalid example: []" (data/processor/supervised.py).

    ## Bad
    ```json data.json
    [{"messages": []}, {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Take the row out.
    """
    for row in view.turn_counts.filter(pl.col("n") == 0)["row"]:
        yield Found(Place(row, view.dataset.entry.place()), "no turns", "a question and an answer")


def empty_turn(view: BatchView) -> Iterator[Found]:
    """A turn without text.

    ## What it finds
    Content that is empty or white space only.

    ## Why it matters
    The row trains. An empty answer teaches the model to end at once; an empty question teaches it to answer nothing.
    In the place of an empty system turn LLaMA-Factory 0.9.5 puts the template's default (data/template.py: _encode).

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": " "}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Fill the turn, or take the row out.
    """
    leads = view.dataset.entry.tags["system_tag"]
    blank = view.batch.turns.filter((pl.col("turn") >= 0) & (pl.col("content").str.strip_chars() == ""))
    for row, turn, role, content in blank.select("row", "turn", "role", "content").iter_rows():
        default = "; the template's default takes its place" if turn == 0 and not content and role == leads else ""
        yield Found(Place(row, view.place(row, turn)), f"the {role} turn is empty{default}", "text")


def unknown_role(view: BatchView) -> Iterator[Found]:
    """A role that no tag names.

    ## What it finds
    A role value that is none of the entry's user, assistant, observation, function and system tags.

    ## Why it matters
    LLaMA-Factory 0.9.5 drops the row with "Invalid role tag" (data/converter.py). It happens to whole datasets when
    the tags say `human` and the data say `user`.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "human", "content": "Hi"}, {"role": "gpt", "content": "Hello."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Correct the role, or name it in `tags`.
    """
    names = role_names(view.dataset.entry)
    known = ", ".join(names)
    for row, turn, _, role in view.misplaced.select("row", "turn", "pos", "role").iter_rows():
        if role not in names:
            yield Found(Place(row, view.place(row, turn)), f"role {role!r}", f"one of: {known}")


def roles_out_of_order(view: BatchView) -> Iterator[Found]:
    """Roles that do not alternate.

    ## What it finds
    A known role in the wrong position: two user turns in a row, an assistant that begins, a system turn that is not
    the first.

    ## Why it matters
    LLaMA-Factory 0.9.5 drops the row with "Invalid role tag" (data/converter.py): after the system turn, question
    roles stand at even positions and answer roles at odd ones.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Are you there?"}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi\\nAre you there?"}, {"role": "assistant", "content": "Yes."}]}]
    ```

    ## Fix
    Join neighbouring turns of one role, or take the row out.
    """
    names = role_names(view.dataset.entry)
    wanted = accepted(view.dataset.entry)
    for row, turn, pos, role in view.misplaced.select("row", "turn", "pos", "role").iter_rows():
        if role in names:
            expected = " or ".join(wanted[pos % 2]) or "no turn"
            yield Found(Place(row, view.place(row, turn)), f"role {role!r} at position {pos}", expected)


def odd_message_count(view: BatchView) -> Iterator[Found]:
    """A conversation that does not end with an answer.

    ## What it finds
    An odd number of turns after the system turn.

    ## Why it matters
    LLaMA-Factory 0.9.5 drops the row with "Invalid message count" (data/converter.py).

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."},
      {"role": "user", "content": "Bye"}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Drop the last question, or write its answer.
    """
    odd = view.turn_counts.filter(pl.col("n") % 2 == 1).join(view.misplaced, on="row", how="anti")
    for row, count in odd.select("row", "n").iter_rows():
        yield Found(
            Place(row, view.dataset.entry.place()), f"{count} turns", "an even number: each question with its answer"
        )


def no_user_turn(view: BatchView) -> Iterator[Found]:
    """A conversation in which nobody asks.

    ## What it finds
    A row whose questions are all results of tools: no turn is the user's.

    ## Why it matters
    LLaMA-Factory 0.9.5 takes a tool's result in the place of a question (data/converter.py). The row trains, and the
    model learns calls and answers without knowing what for.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "observation", "content": "12:00"}, {"role": "assistant", "content": "Noon."}]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "function_tag": "function_call", "observation_tag": "observation", "system_tag": "system"}}}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What time is it?"}, {"role": "assistant", "content": "Noon."}]}]
    ```

    ## Fix
    Put the user's question first, or take the row out.
    """
    results = view.batch.turns.filter(pl.col("canon") == Role.OBSERVATION.value).select("row")
    if results.is_empty():
        return  # what stands in its place is a question or a result
    counted = view.turn_counts.filter(pl.col("n") > 0).join(view.misplaced, on="row", how="anti")
    asked = view.batch.turns.filter(pl.col("canon") == Role.USER.value).select("row")
    for row in counted.join(asked, on="row", how="anti", maintain_order="left")["row"]:
        yield Found(Place(row, view.dataset.entry.place()), "no turn is the user's", "a question")


def unanswered_tool_call(view: BatchView) -> Iterator[Found]:
    """A tool call without its result.

    ## What it finds
    A function turn that is followed by a turn of the user. A call that ends the row is let be.

    ## Why it matters
    The row trains, and the model learns that calls come back with nothing.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What time is it?"},
      {"role": "function_call", "content": "{\\"name\\": \\"clock\\", \\"arguments\\": {}}"},
      {"role": "user", "content": "So?"}, {"role": "assistant", "content": "Noon."}]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "function_tag": "function_call", "observation_tag": "observation", "system_tag": "system"}}}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What time is it?"},
      {"role": "function_call", "content": "{\\"name\\": \\"clock\\", \\"arguments\\": {}}"},
      {"role": "observation", "content": "12:00"}, {"role": "assistant", "content": "Noon."}]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "function_tag": "function_call", "observation_tag": "observation", "system_tag": "system"}}}
    ```

    ## Fix
    Put the tool's result after the call.
    """
    for row, turn, before, now in neighbours(view):
        if before == Role.FUNCTION and now == Role.USER:
            yield Found(Place(row, view.place(row, turn)), "a user turn after a tool call", "the tool's result")


def tool_result_without_call(view: BatchView) -> Iterator[Found]:
    """A tool's result for which nothing was called.

    ## What it finds
    An observation turn after an answer that is no call.

    ## Why it matters
    The row trains, and the model never learns the call that brought the result.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What time is it?"}, {"role": "assistant", "content": "I look."},
      {"role": "observation", "content": "12:00"}, {"role": "assistant", "content": "Noon."}]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "function_tag": "function_call", "observation_tag": "observation", "system_tag": "system"}}}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What time is it?"},
      {"role": "function_call", "content": "{\\"name\\": \\"clock\\", \\"arguments\\": {}}"},
      {"role": "observation", "content": "12:00"}, {"role": "assistant", "content": "Noon."}]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "function_tag": "function_call", "observation_tag": "observation", "system_tag": "system"}}}
    ```

    ## Fix
    Give the call a function turn of its own, or make the result a turn of the user.
    """
    for row, turn, before, now in neighbours(view):
        if before == Role.ASSISTANT and now == Role.OBSERVATION:
            yield Found(Place(row, view.place(row, turn)), "a tool's result after an answer", "a call before it")


def neighbours(view: BatchView) -> Iterator[tuple[int, int, str, str]]:
    """Row and turn of each turn but the first in rows of batches with tools, with the role before it and its own."""
    spoken = view.batch.turns.filter(pl.col("pos") >= 0).select("row", "turn", "pos", "canon")
    tools = pl.col("canon").is_in([Role.FUNCTION.value, Role.OBSERVATION.value])
    if spoken.filter(tools).is_empty():
        return
    paired = spoken.with_columns(pl.col("canon").shift(1).alias("before")).filter(pl.col("pos") > 0)
    yield from paired.select("row", "turn", "before", "canon").drop_nulls().iter_rows()


def unlisted_tool_called(view: BatchView) -> Iterator[Found]:
    """A call of a tool that the row does not list.

    ## What it finds
    A function turn with a name that is not among the row's tools. Rows without tools are let be.

    ## Why it matters
    The row trains, and the model learns to call what it was not offered.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What time is it?"},
      {"role": "function_call", "content": "{\\"name\\": \\"watch\\", \\"arguments\\": {}}"}],
      "tools": "[{\\"name\\": \\"clock\\", \\"description\\": \\"\\", \\"parameters\\": {\\"properties\\": {}}}]"}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt",
      "columns": {"messages": "messages", "tools": "tools"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "function_tag": "function_call", "observation_tag": "observation", "system_tag": "system"}}}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What time is it?"},
      {"role": "function_call", "content": "{\\"name\\": \\"clock\\", \\"arguments\\": {}}"}],
      "tools": "[{\\"name\\": \\"clock\\", \\"description\\": \\"\\", \\"parameters\\": {\\"properties\\": {}}}]"}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt",
      "columns": {"messages": "messages", "tools": "tools"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "function_tag": "function_call", "observation_tag": "observation", "system_tag": "system"}}}
    ```

    ## Fix
    Correct the name, or add the tool to the list.
    """
    calls = view.batch.turns.filter(pl.col("canon") == Role.FUNCTION.value)
    if calls.is_empty():
        return
    calls = calls.join(
        view.batch.rows.filter(pl.col("tools").is_not_null()).select("row", "tools"),
        on="row", how="inner", maintain_order="left",
    )  # fmt: skip
    listed: dict[str, frozenset[str]] = {}
    for row, turn, content, tools in calls.select("row", "turn", "content", "tools").iter_rows():
        if tools not in listed:
            listed = {tools: frozenset(names_in(tools))}  # rows with the same tools most often follow each other
        for name in names_in(content):
            if listed[tools] and name not in listed[tools]:
                yield Found(
                    Place(row, view.place(row, turn)),
                    f"a call of {name!r}",
                    f"one of: {', '.join(sorted(listed[tools]))}",
                )


def names_in(text: str | None) -> Iterator[str]:
    """The names of the tools that a list, or of a call that a turn, holds; none where it is not JSON: TRN102."""
    try:
        value = json.loads(text or "null")
    except (ValueError, RecursionError):
        return
    for item in value if isinstance(value, list) else [value]:
        inner = item.get("function", item) if isinstance(item, dict) else None
        name = inner.get("name") if isinstance(inner, dict) else None
        if isinstance(name, str):
            yield name


def repeated_exchange(view: BatchView) -> Iterator[Found]:
    """A question with its answer, twice in one conversation.

    ## What it finds
    A pair of turns that is the same, word for word, as one before it in the row.

    ## Why it matters
    The row trains. The second time the answer can be copied from the first, and the model learns to do so.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What colour is it?"}, {"role": "assistant", "content": "It is grey."},
      {"role": "user", "content": "What colour is it?"}, {"role": "assistant", "content": "It is grey."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What colour is it?"}, {"role": "assistant", "content": "It is grey."},
      {"role": "user", "content": "And the mat?"}, {"role": "assistant", "content": "It is red."}]}]
    ```

    ## Fix
    Take one of the two out.
    """
    long = view.turn_counts.filter(pl.col("n") >= 4).select("row")
    if long.is_empty():
        return
    text = pl.col("content").str.strip_chars()
    spoken = view.batch.turns.filter(pl.col("pos") >= 0).join(long, on="row", how="semi", maintain_order="left")
    spoken = spoken.with_columns(text.alias("said"), text.shift(1).alias("asked"), pl.col("canon").shift(1).alias("by"))
    pairs = spoken.filter(
        (pl.col("pos") % 2 == 1)
        & (pl.col("canon") == Role.ASSISTANT.value)
        & (pl.col("by") == Role.USER.value)
        & (pl.col("said").str.len_bytes() + pl.col("asked").str.len_bytes() >= SHORTEST)
    )
    again = pairs.filter(~pl.struct("row", "asked", "said").is_first_distinct())
    for row, turn, asked in again.select("row", "turn", "asked").iter_rows():
        yield Found(Place(row, view.place(row, turn)), f"{quoted(asked)} is answered as before", "each exchange once")


def unrenderable_tools(view: BatchView) -> Iterator[Found]:
    """A tool call or a list of tools that the trainer cannot render.

    ## What it finds
    A function turn or a tools column that is not JSON, or not of the shape that the template's tool format wants.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops the whole run in preprocessing (data/formatter.py, data/tool_utils.py), with "Invalid
    JSON format in function message" or a bare KeyError, without the row's number.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What time is it?"},
      {"role": "function_call", "content": "call clock()"}]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "function_tag": "function_call", "observation_tag": "observation", "system_tag": "system"}}}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What time is it?"},
      {"role": "function_call", "content": "{\\"name\\": \\"clock\\", \\"arguments\\": {}}"}]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "function_tag": "function_call", "observation_tag": "observation", "system_tag": "system"}}}
    ```

    ## Fix
    Write calls as `{"name": …, "arguments": {…}}`, tools as a JSON list of function objects.
    """
    for budget in view.budgets:
        if budget.error and budget.why is Why.TOOLS:
            yield Found(Place(budget.row, view.dataset.entry.place()), budget.error, "tools and calls in JSON")
