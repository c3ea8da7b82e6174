"""FRM: rows whose form keeps the trainer from reading them at all."""

from __future__ import annotations

from collections.abc import Iterator

from validators.findings import Found, Place
from validators.model import Outcome
from validators.rules.rule import BatchView, DatasetView
from validators.sources.batch import LoadFault, LoadKind, Shape


def empty_dataset(view: DatasetView) -> Iterator[Found]:
    """A data file without rows.

    ## What it finds
    A file that holds an empty list or nothing but empty objects, or a split that takes none of the rows.

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
    if view.source_faults:
        return
    if view.census.rows == 0:
        yield Found(Place(), "no rows", "at least one conversation")
    elif not view.census.columns:
        yield Found(Place(), f"{view.census.rows} rows without any column", "at least one conversation")


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
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}, 2]
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


def mixed_types_in_column(view: DatasetView) -> Iterator[Found]:
    """A column whose values are of different types.

    ## What it finds
    Text in one row and a number, a list or an object in another, under the same name, at any depth, mapped or not.

    ## Why it matters
    The loader of LLaMA-Factory 0.9.5 (datasets) makes one Arrow column of it and stops the whole run, with a message
    that names neither row nor column path.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}], "id": 1},
     {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}], "id": "b2"}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}], "id": "1"},
     {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}], "id": "b2"}]
    ```

    ## Fix
    Write the column in one form, or take it out.
    """
    yield from loading(view, LoadKind.MIXED_TYPES)


def schema_changes_later(view: DatasetView) -> Iterator[Found]:
    """Later rows or files with other columns or types than the first ones.

    ## What it finds
    A JSON-lines file whose rows after the first 10 MiB, or a folder whose later files, have a column that the first
    chunk lacks, or another type under the same name; also columns that are null throughout the first chunk.

    ## Why it matters
    The first chunk's schema is law (datasets 4.0.0, arrow_writer.py: write_table); what cannot be cast to it ends the
    run of LLaMA-Factory 0.9.5 after minutes of loading. Files of a folder come in no fixed order.

    ## Bad
    ```json parts/a.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}], "note": "x"}]
    ```
    ```json parts/b.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}], "note": ["y"]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "parts", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Good
    ```json parts/a.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}], "note": ["x"]}]
    ```
    ```json parts/b.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}], "note": ["y"]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "parts", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Fix
    Give all rows the same columns and types, or move a row that has them all to the front.
    """
    yield from loading(view, LoadKind.SCHEMA_CHANGE)


def value_retyped_by_loader(view: DatasetView) -> Iterator[Found]:
    """A text column that the loader turns into something else.

    ## What it finds
    A mapped column whose texts in the first chunk all look like dates: pyarrow reads ISO dates in JSON lines as
    timestamps, pandas does so in arrays for names such as `date`, `timestamp…`, `…_at` and `…_time`.

    ## Why it matters
    The converter of LLaMA-Factory 0.9.5 gets timestamps where text was written: answers count as missing and the rows
    are dropped, questions end in a TypeError.

    ## Bad
    ```json data.json
    {"instruction": "When?", "input": "", "output": "2024-05-01"}
    {"instruction": "And then?", "input": "", "output": "2024-05-02"}
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "alpaca"}}
    ```

    ## Good
    ```json data.json
    {"instruction": "When?", "input": "", "output": "On 2024-05-01."}
    {"instruction": "And then?", "input": "", "output": "2024-05-02"}
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "alpaca"}}
    ```

    ## Fix
    Reword one of the values, or store the dataset as Parquet with a text column.
    """
    yield from loading(view, LoadKind.RETYPED)


def column_empty_at_first(view: DatasetView) -> Iterator[Found]:
    """Media or prompts that begin only after the first lot of rows.

    ## What it finds
    No images (videos, audios, system prompt, tools) in the first 1,000 rows of a dataset, and some later; no media in
    the first preprocessing_batch_size rows of the whole run, over all its datasets; or such a lot of which every row is
    dropped.

    ## Why it matters
    The writer behind LLaMA-Factory 0.9.5 (datasets 4.0.0, arrow_writer.py) gives the empty column the type null and
    stops at the first value: "Couldn't cast array of type list<item: string> to null". It happens when text-only data
    come first and multimodal data follow, in one dataset or in the next one.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}], "images": []},
     {"messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```
    ```yaml train.yaml
    preprocessing_batch_size: 1
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]},
     {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}], "images": []}]
    ```
    ```yaml train.yaml
    preprocessing_batch_size: 1
    ```

    ## Fix
    Move a row that has the value to the front, name the multimodal dataset first, or shuffle the rows.
    """
    yield from loading(view, LoadKind.LATE_VALUES)


def all_rows_dropped(view: DatasetView) -> Iterator[Found]:
    """A dataset of which no row is left.

    ## What it finds
    A dataset all of whose rows the converter drops: wrong roles, wrong order, no answer.

    ## Why it matters
    Alone, it ends the run of LLaMA-Factory 0.9.5 with "Cannot find valid samples, check `data/README.md` for the data
    format" (data/loader.py: _get_preprocessed_dataset). Beside sound datasets, it ends the run as well: "The features
    can't be aligned because the key _prompt …" (datasets, concatenate_datasets).

    ## Bad
    ```json data.json
    [{"messages": [{"role": "human", "content": "Hi"}, {"role": "gpt", "content": "Hello."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Mend what the other findings name; most often `tags` do not fit the data.
    """
    yield from loading(view, LoadKind.ALL_DROPPED)


def role_unknown_to_openai(view: BatchView) -> Iterator[Found]:
    """A role without a tag, in data of the openai form.

    ## What it finds
    A role that is none of the entry's tags, where formatting is openai.

    ## Why it matters
    LLaMA-Factory 0.9.5 does not drop the row, as it does for sharegpt: it ends the run with a KeyError
    (data/converter.py: OpenAIDatasetConverter).

    ## Bad
    ```json data.json
    [{"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"},
      {"role": "assistant", "content": "Hello."}]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "openai", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "observation_tag": "tool", "function_tag": "call", "system_tag": "system"}}}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
      {"role": "assistant", "content": "Hello."}]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "openai", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "observation_tag": "tool", "function_tag": "call", "system_tag": "system"}}}
    ```

    ## Fix
    Correct the role, or name it in `tags`.
    """
    for fault in view.faults(Shape.ROLE_UNKNOWN):
        yield Found(Place(fault.row, fault.place), f"role: {fault.found}", "a role that tags name")


def malformed_tool_call(view: BatchView) -> Iterator[Found]:
    """Tool calls or tool responses that the openai converter cannot write out.

    ## What it finds
    `tool_calls` that are no list of objects with a function, and tool responses that are no text.

    ## Why it matters
    LLaMA-Factory 0.9.5 ends with a KeyError or TypeError (data/converter.py: OpenAIDatasetConverter).

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Time?"},
      {"role": "assistant", "content": "", "tool_calls": [{"name": "clock"}]},
      {"role": "tool", "content": "12:00"}, {"role": "assistant", "content": "Noon."}]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "openai", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "observation_tag": "tool", "function_tag": "call", "system_tag": "system"}}}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Time?"},
      {"role": "assistant", "content": "Noon.", "tool_calls": []}]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "openai", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "observation_tag": "tool", "function_tag": "call", "system_tag": "system"}}}
    ```

    ## Fix
    Write each call as `{"function": {"name": …, "arguments": …}}`, and each response as text.
    """
    for fault in view.faults(Shape.TOOL_CALL):
        yield Found(Place(fault.row, fault.place), fault.found, "calls with a function, responses of text")


def question_not_text(view: BatchView) -> Iterator[Found]:
    """An alpaca question that is no text, or an earlier exchange that is no pair.

    ## What it finds
    A number, list or object under the prompt or query column; an entry of history that has not exactly two parts.

    ## Why it matters
    LLaMA-Factory 0.9.5 ends with a TypeError or ValueError (data/converter.py: AlpacaDatasetConverter).

    ## Bad
    ```json data.json
    [{"instruction": "Add", "input": 12, "output": "?"}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "alpaca"}}
    ```

    ## Good
    ```json data.json
    [{"instruction": "Add", "input": "12", "output": "?"}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "alpaca"}}
    ```

    ## Fix
    Write text; write each earlier exchange as a list of question and answer.
    """
    for fault in view.faults(Shape.QUESTION_NOT_TEXT):
        yield Found(Place(fault.row, fault.place), fault.found, "text, and pairs of texts in history")


def answer_not_text(view: BatchView) -> Iterator[Found]:
    """An alpaca row whose answer is no text.

    ## What it finds
    null, a number or anything else that is no text under the response column.

    ## Why it matters
    LLaMA-Factory 0.9.5 takes the row for one without an answer (data/converter.py: AlpacaDatasetConverter), and the
    processor drops it.

    ## Bad
    ```json data.json
    [{"instruction": "1 + 1", "input": "", "output": 2}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "alpaca"}}
    ```

    ## Good
    ```json data.json
    [{"instruction": "1 + 1", "input": "", "output": "2"}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "alpaca"}}
    ```

    ## Fix
    Write the answer as text.
    """
    for fault in view.faults(Shape.ANSWER_NOT_TEXT):
        yield Found(Place(fault.row, fault.place), fault.found, "text")


def kto_label_in_sft(view: BatchView) -> Iterator[Found]:
    """A row with a KTO label, trained on with SFT.

    ## What it finds
    true or false under the column that kto_tag maps.

    ## Why it matters
    LLaMA-Factory 0.9.5 gives the row a second, empty answer (data/converter.py), and the SFT processor drops every
    row that has not exactly one.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}], "label": true}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt",
      "columns": {"messages": "messages", "kto_tag": "label"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Take kto_tag out of `columns`, or train with stage kto.
    """
    if view.run.settings.raw.get("stage", "sft") != "kto":
        for fault in view.faults(Shape.KTO_LABEL):
            yield Found(Place(fault.row, fault.place), fault.found, "no label")


def media_entry_refused(view: BatchView) -> Iterator[Found]:
    """A media entry that is no path, in a list that does not begin with one.

    ## What it finds
    null first in a media list, a number or object in place of a path, a list among images.

    ## Why it matters
    The converter of LLaMA-Factory 0.9.5 looks at the first entry only and joins no path of such a list to media_dir;
    then the media plugin cannot open the entry and the run ends. A row that is dropped for other reasons gets by.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "A cat."}],
      "images": [null]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Write a path, or take the entry and its tag out.
    """
    for fault in view.faults(Shape.MEDIA_REFUSED):
        yield Found(Place(fault.row, fault.place), fault.found, "a path")


def loading(view: DatasetView, kind: LoadKind) -> Iterator[Found]:
    """The loader's faults of one kind; a change of type by itself stops nothing."""
    for fault in view.census.load_faults:
        if fault.kind is kind:
            yield load_finding(fault)


def load_finding(fault: LoadFault) -> Found:
    """A fault of the whole dataset at its first bad row."""
    outcome = None if fault.kind is LoadKind.RETYPED else Outcome.CRASH_LOAD
    place = Place(fault.row, fault.place)
    return Found(place, fault.found, fault.expected, fault.cure, outcome, str(fault.file))
