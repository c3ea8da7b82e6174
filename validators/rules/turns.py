"""TRN: roles and their order."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from validators.budgets.family import Why
from validators.findings import Found, Place
from validators.replay.align import accepted, role_names
from validators.rules.rule import BatchView


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
    blank = view.batch.turns.filter((pl.col("turn") >= 0) & (pl.col("content").str.strip_chars() == ""))
    for row, turn, role in blank.select("row", "turn", "role").iter_rows():
        yield Found(Place(row, view.place(row, turn)), f"the {role} turn is empty", "text")


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
