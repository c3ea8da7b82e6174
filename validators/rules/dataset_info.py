"""DSI: dataset_info.json against the trainer's parser and against the data it registers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from validators.findings import Found, Place
from validators.model import MediaKind, Outcome
from validators.rules.rule import DatasetView, RunView
from validators.sources.dataset_info import COLUMN_DEFAULTS, TAG_DEFAULTS, DatasetEntry
from validators.sources.target import BadEntry, EntryFault

NEEDED_TAGS = ("role_tag", "content_tag", "user_tag", "assistant_tag")


def undefined_dataset(view: RunView) -> Iterator[Found]:
    """A dataset name that dataset_info.json does not register.

    ## What it finds
    A name under `dataset:` in the train yaml (or after the colon of the target) without an entry of that name.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with "Undefined dataset … in dataset_info.json" (data/parser.py: get_dataset_list).
    A file's path or name is not a dataset name.

    ## Bad
    ```yaml train.yaml
    dataset: dta
    ```

    ## Good
    ```yaml train.yaml
    dataset: data
    ```

    ## Fix
    Use a registered name, or add an entry to dataset_info.json.
    """
    for item in view.plan.undefined:
        nearest = ", ".join(item.nearest)
        yield Found(
            Place(None, item.name),
            f"dataset {item.name!r} is not registered",
            f"a name that {item.info_file} has",
            f"did you mean {nearest}?" if nearest else "add an entry of this name",
            file=item.info_file,
        )


def missing_data_file(view: RunView) -> Iterator[Found]:
    """An entry whose data file is not there.

    ## What it finds
    A `file_name` that is neither a file nor a folder under the dataset_dir.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with "File … not found" (data/loader.py: _load_single_dataset). The path is relative
    to the folder of dataset_info.json.

    ## Bad
    ```json dataset_info.json
    {"data": {"file_name": "dat.json", "formatting": "sharegpt", "columns": {"messages": "messages"}}}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Correct `file_name`, or put the file there.
    """
    for item in view.plan.bad_entries:
        if item.fault is EntryFault.MISSING_FILE:
            nearest = nearest_file(item.found)
            cure = f"did you mean {nearest}?" if nearest else "correct file_name, or put the file there"
            yield Found(Place(None, f"{item.name}.file_name"), item.found, item.expected, cure, file=item.info_file)


def malformed_entry(view: RunView) -> Iterator[Found]:
    """An entry that is no object or names no data.

    ## What it finds
    An entry of dataset_info.json that is not an object, has neither a file_name nor a hub address, a formatting that
    is none of alpaca, sharegpt and openai, or a num_samples that is no number of rows.

    ## Why it matters
    LLaMA-Factory 0.9.5 ends with a bare TypeError or KeyError (data/parser.py: get_dataset_list; of num_samples
    data/loader.py: _load_single_dataset), or with "Dataset converter … not found" (data/converter.py).

    ## Bad
    ```json dataset_info.json
    {"data": "data.json"}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Write `{"file_name": "data.json", "formatting": "sharegpt", "columns": {…}, "tags": {…}}`.
    """
    for item in view.plan.bad_entries:
        if item.fault is EntryFault.MALFORMED:
            yield of_entry(item)


def unchecked_dataset(view: RunView) -> Iterator[Found]:
    """A dataset that was not read.

    ## What it finds
    A dataset on a hub, in a cloud or made by a script, or a preference dataset (`ranking`).

    ## Why it matters
    The summary says nothing about its rows. It is named here so that silence is not taken for health.

    ## Bad
    ```json dataset_info.json
    {"data": {"hf_hub_url": "org/name", "formatting": "sharegpt"}}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Download it and register the local file.
    """
    for name in view.plan.passed_over:
        yield Found(
            Place(None, name),
            "not read: not a local file, or a preference dataset",
            "a local file of conversations",
            file=str(Path(view.settings.dataset_dir) / "dataset_info.json"),
        )


def unreadable_file_type(view: RunView) -> Iterator[Found]:
    """Data files whose type the trainer does not take.

    ## What it finds
    A data file with an ending other than json, jsonl, csv, parquet, arrow and txt; a folder that is empty, mixes types,
    or holds anything else (a README, a hidden file, a sub-folder).

    ## Why it matters
    LLaMA-Factory 0.9.5 goes by the ending alone and takes all that a folder lists: "Allowed file types", "File types
    should be identical", or a bare IndexError (data/loader.py: _load_single_dataset).

    ## Bad
    ```json dataset_info.json
    {"data": {"file_name": "train.yaml", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Rename or convert the file; move everything else out of the folder.
    """
    for item in view.plan.bad_entries:
        if item.fault is EntryFault.FILE_TYPE:
            yield of_entry(item)


def unknown_split(view: RunView) -> Iterator[Found]:
    """A split that local files do not have.

    ## What it finds
    `split` with a name other than train, or in a form that is not `train[from:to]`.

    ## Why it matters
    Local files always load as one split named train; any other name ends the run with "Unknown split" (datasets
    4.0.0, arrow_reader.py).

    ## Bad
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "split": "test", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Good
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "split": "train[:90%]",
      "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Fix
    Take `split` out, or write a part of train.
    """
    for item in view.plan.bad_entries:
        if item.fault is EntryFault.SPLIT:
            yield of_entry(item)


def ranking_at_wrong_stage(view: RunView) -> Iterator[Found]:
    """Preference data in SFT, or conversations where preferences are trained on.

    ## What it finds
    `ranking: true` at a stage other than rm and dpo, or an entry without it at one of these.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops the whole run: "The dataset is not applicable in the current training stage"
    (data/loader.py: _get_merged_dataset).

    ## Bad
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "ranking": true, "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Take `ranking` out, or use a dataset of the stage's kind.
    """
    for item in view.plan.bad_entries:
        if item.fault is EntryFault.STAGE:
            yield of_entry(item)


def eval_dataset_with_val_size(view: RunView) -> Iterator[Found]:
    """Two ways to get evaluation data at once.

    ## What it finds
    `eval_dataset` together with `val_size` above 0 in the train yaml.

    ## Why it matters
    LLaMA-Factory 0.9.5 refuses both: "Cannot specify `val_size` if `eval_dataset` is not None"
    (hparams/data_args.py).

    ## Bad
    ```yaml train.yaml
    eval_dataset: data
    val_size: 0.1
    ```

    ## Good
    ```yaml train.yaml
    val_size: 0.1
    ```

    ## Fix
    Drop one of them.
    """
    raw = view.settings.raw
    size = raw.get("val_size")
    if raw.get("eval_dataset") and isinstance(size, int | float) and size > 1e-6:
        yield Found(
            Place(None, "val_size"), f"val_size {size} beside eval_dataset", "one of the two", file=view.settings.file
        )


def sampled_dataset(view: RunView) -> Iterator[Found]:
    """A dataset of which the trainer draws rows at random.

    ## What it finds
    `num_samples` in the entry.

    ## Why it matters
    LLaMA-Factory 0.9.5 draws that many rows with the run's seed (some twice, when there are fewer), and max_samples
    then takes the first of those (data/loader.py: _load_single_dataset). The same rows are judged here, each once,
    however often it was drawn; the others may have faults that another seed would bring up.

    ## Bad
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "num_samples": 1, "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Nothing to mend; read the counts accordingly.
    """
    for dataset in view.plan.datasets:
        if dataset.num_samples is not None:
            yield Found(
                Place(None, f"{dataset.entry.name}.num_samples"),
                f"{dataset.num_samples} rows are drawn at random; the rest was not judged",
                "",
                file=dataset.info_file,
            )


def misspelt_column_key(view: DatasetView) -> Iterator[Found]:
    """A `columns` key that the trainer does not know but was meant to.

    ## What it finds
    A key such as `image` for `images`, or any unknown key whose value names a column of the data.

    ## Why it matters
    LLaMA-Factory 0.9.5 ignores unknown keys without a word (data/parser.py: DatasetAttr.join), so the column is not
    read: rows train without their media, or fail on the tag count.

    ## Bad
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt",
      "columns": {"messages": "messages", "image": "images"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Good
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt",
      "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Fix
    Rename the key.
    """
    for key, value in unknown_keys(view, "columns", COLUMN_DEFAULTS):
        nearest = get_close_matches(key, list(COLUMN_DEFAULTS), n=1, cutoff=0.7)
        if nearest or (isinstance(value, str) and value in view.census.columns):
            cure = f"rename it to {nearest[0]!r}" if nearest else f"use one of {', '.join(COLUMN_DEFAULTS)}"
            yield in_info(view, f"columns.{key}", f"unknown key {key!r}: the trainer ignores it", "a known key", cure)


def unknown_column_key(view: DatasetView) -> Iterator[Found]:
    """A `columns` key that means nothing to the trainer.

    ## What it finds
    A key of `columns` that is not a column name of LLaMA-Factory and resembles none.

    ## Why it matters
    It is ignored (data/parser.py: DatasetAttr.join). Harmless, unless something was expected of it.

    ## Bad
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt",
      "columns": {"messages": "messages", "licence": "?"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Good
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt",
      "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Fix
    Remove the key.
    """
    for key, value in unknown_keys(view, "columns", COLUMN_DEFAULTS):
        close = get_close_matches(key, list(COLUMN_DEFAULTS), n=1, cutoff=0.7)
        if not close and not (isinstance(value, str) and value in view.census.columns):
            yield in_info(view, f"columns.{key}", f"unknown key {key!r}", f"one of {', '.join(COLUMN_DEFAULTS)}")


def partial_tags(view: DatasetView) -> Iterator[Found]:
    """A `tags` object that leaves out a tag which the data needs.

    ## What it finds
    `tags` without role_tag, content_tag, user_tag or assistant_tag, or without the tag of a role that rows use
    (system, observation, function_call).

    ## Why it matters
    Once `tags` is there, each tag that it leaves out becomes None, not the default (LLaMA-Factory 0.9.5,
    data/parser.py: DatasetAttr.join). Rows that use the role are dropped with "Invalid role tag".

    ## Bad
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user"}}}
    ```

    ## Good
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Fix
    Name every tag: role_tag, content_tag, user_tag, assistant_tag, system_tag and, with tools, the other two.
    """
    given = view.dataset.entry.raw.get("tags")
    if not isinstance(given, Mapping) or view.dataset.entry.formatting == "alpaca":
        return
    for tag, default in TAG_DEFAULTS.items():
        if isinstance(given.get(tag), str):
            continue
        used = view.census.roles[default] if tag not in NEEDED_TAGS else 0
        if tag in NEEDED_TAGS or used:
            reason = f" and {used} turns have the role {default!r}" if used else ""
            yield in_info(
                view,
                f"tags.{tag}",
                f"no {tag}, so it is None{reason}",
                f"{tag} named",
                f'add "{tag}": "{default}"',
                Outcome.CRASH_LOAD if tag in ("role_tag", "content_tag") and view.census.message_keys else None,
            )


def unknown_tag_key(view: DatasetView) -> Iterator[Found]:
    """A `tags` key that the trainer does not know.

    ## What it finds
    A key of `tags` outside the seven that LLaMA-Factory reads.

    ## Why it matters
    It is ignored (data/parser.py: DatasetAttr.join), and the tag that was meant becomes None.

    ## Bad
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "sys_tag": "system"}}}
    ```

    ## Good
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "system_tag": "system"}}}
    ```

    ## Fix
    Rename or remove the key.
    """
    for key, _ in unknown_keys(view, "tags", TAG_DEFAULTS):
        nearest = get_close_matches(key, list(TAG_DEFAULTS), n=1, cutoff=0.6)
        cure = f"did you mean {nearest[0]!r}?" if nearest else "remove it"
        yield in_info(view, f"tags.{key}", f"unknown key {key!r}", f"one of {', '.join(TAG_DEFAULTS)}", cure)


def missing_column(view: DatasetView) -> Iterator[Found]:
    """A mapped column that no row has.

    ## What it finds
    `columns` maps a name (or the default `conversations` applies) that is a key of no row.

    ## Why it matters
    LLaMA-Factory 0.9.5 ends with a bare KeyError in data/converter.py.

    ## Bad
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "message"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Good
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Fix
    Map the column's real name, or take the key out.
    """
    if view.census.rows == 0 or not view.census.columns:
        return
    for key in view.dataset.entry.needed_columns:
        column = view.dataset.entry.columns[key]
        if column is None and key == "messages":
            yield in_info(view, "columns.messages", "no messages column is named", "the column of the conversations")
        if key == "system" and view.dataset.entry.formatting == "sharegpt" and not view.census.unled:
            continue  # every row brings its own system turn, and the column is never looked at
        if column is not None and column not in view.census.columns:
            nearest = get_close_matches(column, list(view.census.columns), n=1, cutoff=0.5)
            have = ", ".join(sorted(view.census.columns)[:8])
            yield in_info(
                view,
                f"columns.{key}",
                f"column {column!r} is in none of the {view.census.rows} rows",
                f"one of the data's columns: {have}",
                f"did you mean {nearest[0]!r}?" if nearest else "",
            )


def missing_message_key(view: DatasetView) -> Iterator[Found]:
    """No message has the key that the role or the text is read from.

    ## What it finds
    role_tag or content_tag (or their defaults `from` and `value`) name a key that no message of the data has.

    ## Why it matters
    LLaMA-Factory 0.9.5 ends with KeyError: 'from' (data/converter.py). It happens whenever role/content data are
    registered without `tags`.

    ## Bad
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"}}}
    ```

    ## Good
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Fix
    Add `tags` with all names spelt out.
    """
    keys = view.census.message_keys if view.dataset.entry.formatting != "alpaca" else {}
    for tag in ("role_tag", "content_tag"):
        name = view.dataset.entry.tags[tag]
        if keys and name is not None and name not in keys:
            source = "named" if "tags" in view.dataset.entry.raw else "the default, as the entry has no tags"
            have = ", ".join(sorted(keys)[:8])
            yield in_info(
                view,
                f"tags.{tag}",
                f"{name!r} ({source}) is a key of no message",
                f"one of: {have}",
                "set tags in full",
            )


def unmapped_media_column(view: DatasetView) -> Iterator[Found]:
    """Rows carry media that the entry does not map.

    ## What it finds
    A data column named images, videos or audios with entries, while `columns` maps none for that modality.

    ## Why it matters
    LLaMA-Factory 0.9.5 never looks at it: the model learns answers without seeing what they are about, or the tag
    count fails.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"},
      "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Add the column to `columns`.
    """
    mapped = set(view.dataset.entry.columns.values())
    for kind in MediaKind:
        if view.dataset.entry.media_column(kind) is None and kind.column not in mapped:
            for column in {kind.column, kind.value} & view.census.columns.keys():
                yield in_info(
                    view,
                    f"columns.{kind.column}",
                    f"the data's column {column!r} is not mapped",
                    f"{kind.column} mapped",
                    f'add "{kind.column}": "{column}" to columns',
                )


def unknown_keys(view: DatasetView, part: str, known: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Keys of `columns` or `tags` that the parser does not read."""
    given = view.dataset.entry.raw.get(part)
    if isinstance(given, Mapping):
        for key, value in given.items():
            if key not in known:
                yield str(key), value


def in_info(
    view: DatasetView, path: str, found: str, expected: str, cure: str = "", outcome: Outcome | None = None
) -> Found:
    """A finding placed in the entry rather than in the data."""
    entry: DatasetEntry = view.dataset.entry
    return Found(Place(None, f"{entry.name}.{path}"), found, expected, cure, outcome, view.dataset.info_file)


def of_entry(item: BadEntry) -> Found:
    """A finding on an entry that the loader stops at."""
    place = f"{item.name}.{item.place}" if item.place else item.name
    return Found(Place(None, place), item.found, item.expected, file=item.info_file)


def nearest_file(found: str) -> str:
    """The file beside a missing one whose name is nearest."""
    path = Path(found.removesuffix(" not found"))
    names = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
    return next(iter(get_close_matches(path.name, names, n=1)), "")
