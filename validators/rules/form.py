"""FRM: rows whose form keeps the trainer from reading them at all."""

from __future__ import annotations

from collections.abc import Iterator

from validators.findings import Found, Place
from validators.model import Outcome
from validators.rules.rule import BatchView, DatasetView, EndView
from validators.sources.sharegpt import Shape


def empty_dataset(view: DatasetView) -> Iterator[Found]:
    """A data file without rows.

    ## What it finds
    A file that holds an empty list.

    ## Why it matters
    LLaMA-Factory 0.9.5 looks at the first row to learn the columns and ends with a bare StopIteration
    (data/converter.py: align_dataset).

    ## Bad
    ```json data.json
    []
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Build the dataset again; see the ledger for why all rows were dropped.
    """
    if view.census.rows == 0 and not view.source_faults:
        yield Found(Place(), "no rows", "at least one conversation")


def no_valid_rows(view: EndView) -> Iterator[Found]:
    """Datasets of which every row is dropped.

    ## What it finds
    Rows, and not one that comes through the converter.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with "Cannot find valid samples, check `data/README.md` for the data format."
    (data/loader.py: _get_preprocessed_dataset), the same words for any reason.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}]}, {"messages": [{"role": "bot", "content": "Hello."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Each row's own finding says why it is dropped.
    """
    if view.rows and view.outcomes.get(Outcome.DROPPED, 0) == view.rows:
        yield Found(Place(), f"all {view.rows} rows are dropped", "at least one that trains")


def unreadable_data_file(view: DatasetView) -> Iterator[Found]:
    """A data file that cannot be read to its end.

    ## What it finds
    Broken JSON, bytes that are not UTF-8, an empty file, nesting without end; with line and row.

    ## Why it matters
    The loader of LLaMA-Factory 0.9.5 (datasets) stops with a message that seldom names the place.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]},]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Repair the file at the line named; all rows before it were checked.
    """
    for file, fault in view.source_faults:
        where = f"line {fault.line}" if fault.line else ""
        yield Found(Place(fault.row, where), fault.found, fault.expected, fault.cure, file=file)


def row_not_an_object(view: BatchView) -> Iterator[Found]:
    """A row that is not a JSON object.

    ## What it finds
    A number, a string, a list or null among the rows.

    ## Why it matters
    The loader of LLaMA-Factory 0.9.5 (datasets) cannot make a table of it and stops.

    ## Bad
    ```json data.json
    [1, 2, 3]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Take the row out, or wrap the list of messages in an object.
    """
    for fault in view.faults(Shape.ROW_NOT_OBJECT):
        yield Found(Place(fault.row), fault.found, 'an object with "messages"')


def messages_not_a_list(view: BatchView) -> Iterator[Found]:
    """A row whose messages are not a list.

    ## What it finds
    null, text or an object in the messages column of a row.

    ## Why it matters
    LLaMA-Factory 0.9.5 ends with a TypeError in data/converter.py, without the row's number.

    ## Bad
    ```json data.json
    [{"messages": null}, {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Write a list of turns.
    """
    for fault in view.faults(Shape.MESSAGES_NOT_LIST):
        yield Found(Place(fault.row, fault.place), fault.found, "a list of turns")


def message_not_an_object(view: BatchView) -> Iterator[Found]:
    """A turn that is not an object.

    ## What it finds
    Text, a number or null in a row's list of turns.

    ## Why it matters
    LLaMA-Factory 0.9.5 ends with a TypeError in data/converter.py, or the loader cannot make a table.

    ## Bad
    ```json data.json
    [{"messages": ["Hi", "Hello."]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Write each turn as `{"role": …, "content": …}`.
    """
    for fault in view.faults(Shape.MESSAGE_NOT_OBJECT):
        yield Found(Place(fault.row, fault.place), fault.found, "an object with role and content")


def content_not_text(view: BatchView) -> Iterator[Found]:
    """A turn whose content is not text.

    ## What it finds
    null, a number or a list of parts (the OpenAI form) as content.

    ## Why it matters
    LLaMA-Factory 0.9.5 counts tags with str.count and ends with an AttributeError (data/mm_plugin.py); content that
    is sometimes text and sometimes a list already fails in the loader.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]},
      {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Join the parts to one text with tags, and put the media paths into their list.
    """
    for fault in view.faults(Shape.CONTENT_NOT_TEXT):
        yield Found(Place(fault.row, fault.place), fault.found, "text")
