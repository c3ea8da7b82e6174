"""MIX: how the datasets of a run, and the rows in them, weigh against each other."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from validators.findings import Found, Place
from validators.model import MediaKind
from validators.probes.installed import release, version_of
from validators.replay.mixing import STRATEGY, drawn, fails_to_hold_out
from validators.rules.rule import EndView, RunView
from validators.rules.yaml_view import in_yaml
from validators.sources.casting import is_nested, item_of
from validators.traces.model import Traces
from validators.traces.words import at_row

KNOWN_STRATEGIES = (4, 0)
"""The newest datasets that LLaMA-Factory 0.9.5 takes; it has two strategies of interleaving."""


def strategy_unknown_to_datasets(view: RunView) -> Iterator[Found]:
    """A mixing strategy that the library which mixes does not have.

    ## What it finds
    `mix_strategy: interleave_once` with several datasets.

    ## Why it matters
    LLaMA-Factory 0.9.5 hands it on as "all_exhausted_without_replacement" (data/data_utils.py: merge_dataset). It
    wants datasets 4.0.0 at the newest, which knows first_exhausted and all_exhausted and stops with a ValueError
    (datasets/combine.py: interleave_datasets), after all datasets are loaded.

    ## Bad
    ```yaml train.yaml
    dataset: data,more
    mix_strategy: interleave_once
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}},
     "more": {"file_name": "more.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Who is it?,It is me.
    ```
    ```csv more.csv
    q,a
    Why?,So.
    ```

    ## Good
    ```yaml train.yaml
    dataset: data,more
    mix_strategy: concat
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}},
     "more": {"file_name": "more.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Who is it?,It is me.
    ```
    ```csv more.csv
    q,a
    Why?,So.
    ```

    ## Fix
    Use `concat`, which takes every row once, too; the trainer shuffles the rows anyway.
    """
    raw = view.settings.raw
    counts = [sum(item.evaluates is side for item in view.plan.datasets) for side in (False, True)]
    if raw.get("eval_on_each_dataset") is True:
        counts[1] = 0
    installed = version_of("datasets")
    newer = installed is not None and release(installed) > KNOWN_STRATEGIES
    if raw.get("mix_strategy") == "interleave_once" and max(counts) > 1 and not newer:
        found = "mix_strategy interleave_once, which datasets 4.0.0 does not know"
        yield in_yaml(view, "mix_strategy", found, "concat, interleave_under or interleave_over")


def hold_out_of_everything(view: EndView) -> Iterator[Found]:
    """A hold-out that leaves no row to train on.

    ## What it finds
    A `val_size` of as many rows as there are, or more; of 1.0; or of a share that, rounded up, is all of them.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with a ValueError (data/data_utils.py: split_dataset; datasets: train_test_split), after
    all datasets are loaded. A whole number is a number of rows; only what is below 1 is a share.

    ## Bad
    ```yaml train.yaml
    val_size: 100
    ```

    ## Good
    ```yaml train.yaml
    val_size: 1
    ```

    ## Fix
    Give a share below 1, like 0.1, or fewer rows.
    """
    raw = view.run.settings.raw
    parts = drawn(sizes(view), raw)
    random = raw.get("mix_strategy", STRATEGY) != STRATEGY and raw.get("interleave_probs") is not None
    if parts is None or raw.get("streaming") is True or raw.get("eval_dataset") or random:
        return
    rows, size = int(sum(parts)), raw.get("val_size")
    if fails_to_hold_out(rows, size):
        yield in_yaml(view.run, "val_size", f"val_size {size} of {rows} row{'s' * (rows > 1)}", "some rows to train on")


def media_of_unlike_types(view: EndView) -> Iterator[Found]:
    """Datasets that give their media in different forms.

    ## What it finds
    Datasets that are merged, and of which one lists images, videos or audios as paths and another as bytes, objects
    or lists of frames.

    ## Why it matters
    LLaMA-Factory 0.9.5 loads each dataset alone and then merges them; the media become one column, and its types
    differ: "The features can't be aligned" (data/data_utils.py: merge_dataset; datasets: concatenate_datasets). Each
    dataset by itself trains.

    ## Bad
    ```yaml train.yaml
    template: qwen2_vl
    dataset: data,more
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.jsonl", "columns": {"prompt": "q", "response": "a", "videos": "videos"}},
     "more": {"file_name": "more.jsonl", "columns": {"prompt": "q", "response": "a", "videos": "videos"}}}
    ```
    ```jsonl data.jsonl
    {"q": "<video>What is it?", "a": "A clip.", "videos": ["clip.mp4"]}
    ```
    ```jsonl more.jsonl
    {"q": "<video>What is that?", "a": "Two pictures.", "videos": [["cat.jpg", "cat.jpg"]]}
    ```

    ## Good
    ```yaml train.yaml
    template: qwen2_vl
    dataset: data,more
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.jsonl", "columns": {"prompt": "q", "response": "a", "videos": "videos"}},
     "more": {"file_name": "more.jsonl", "columns": {"prompt": "q", "response": "a", "videos": "videos"}}}
    ```
    ```jsonl data.jsonl
    {"q": "<video>What is it?", "a": "A clip.", "videos": ["clip.mp4"]}
    ```
    ```jsonl more.jsonl
    {"q": "<video>What is that?", "a": "The same clip.", "videos": ["clip.mp4"]}
    ```

    ## Fix
    Store all media of one kind in one form: paths, in every dataset.
    """
    if view.run.settings.file is None or view.run.settings.raw.get("streaming") is True:
        return
    groups = [view.traces.learned]
    if view.run.settings.raw.get("eval_on_each_dataset") is not True:
        groups.append(view.traces.evaluated)
    for group in groups:
        for kind in MediaKind:
            forms = {number: form for number in group if (form := media_form(view, number, kind))}
            first = next(iter(forms), None)
            for number, form in forms.items():
                if first is not None and form != forms[first]:
                    other, own = (view.traces.datasets[each] for each in (first, number))
                    found = f"{kind.column} as {form}, and as {forms[first]} in dataset {other.name}"
                    place = Place(None, str(own.plan.entry.media_column(kind)))
                    file = str(own.plan.files[0])
                    yield Found(place, found, "one form in all datasets", file=file, dataset=own.name)


def one_dataset_dominates(view: EndView) -> Iterator[Found]:
    """A dataset beside which the others hardly count.

    ## What it finds
    Several datasets to train on, of which one gives more than `max-dataset-share` of the rows that an epoch draws,
    under the run's mix_strategy and interleave_probs.

    ## Why it matters
    The model learns the large one; what the others were added for is drowned. LLaMA-Factory 0.9.5 weighs nothing
    unless `interleave_probs` or `num_samples` says so.

    ## Bad
    ```yaml train.yaml
    dataset: data,more
    mix_strategy: interleave_under
    interleave_probs: 0.98,0.02
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}},
     "more": {"file_name": "more.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Who is it?,It is me.
    ```
    ```csv more.csv
    q,a
    Why?,So.
    ```

    ## Good
    ```yaml train.yaml
    dataset: data,more
    mix_strategy: interleave_under
    interleave_probs: 0.6,0.4
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}},
     "more": {"file_name": "more.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Who is it?,It is me.
    ```
    ```csv more.csv
    q,a
    Why?,So.
    ```

    ## Fix
    Give the smaller ones more weight: `num_samples` in their entries, or an interleave strategy.
    """
    for name, share in shares(view):
        if share > view.run.thresholds.max_dataset_share:
            found = f"dataset {name} gives {percent(share)} of the rows of an epoch"
            yield in_yaml(view.run, "dataset", found, "")


def dataset_hardly_seen(view: EndView) -> Iterator[Found]:
    """A dataset of which an epoch has next to nothing.

    ## What it finds
    Several datasets to train on, of which one gives less than `min-dataset-share` of the rows that an epoch draws,
    under the run's mix_strategy and interleave_probs.

    ## Why it matters
    With one row in two hundred, most batches have none of it. What it should teach will not be learned in the usual
    one to three epochs, and with `val_size` all its rows may be held out.

    ## Bad
    ```yaml train.yaml
    dataset: data,more
    mix_strategy: interleave_over
    interleave_probs: 0.997,0.003
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}},
     "more": {"file_name": "more.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Who is it?,It is me.
    ```
    ```csv more.csv
    q,a
    Why?,So.
    ```

    ## Good
    ```yaml train.yaml
    dataset: data,more
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}},
     "more": {"file_name": "more.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Who is it?,It is me.
    ```
    ```csv more.csv
    q,a
    Why?,So.
    ```

    ## Fix
    Give it more weight, or leave it out.
    """
    for name, share in shares(view):
        if share < view.run.thresholds.min_dataset_share:
            found = f"dataset {name} gives {percent(share)} of the rows of an epoch"
            yield in_yaml(view.run, "dataset", found, "")


def rows_never_drawn(view: EndView) -> Iterator[Found]:
    """Interleaving that leaves most rows of a dataset out.

    ## What it finds
    Under `interleave_under`, a dataset of which more than `max-undrawn-share` of the rows are not drawn before another
    one ends.

    ## Why it matters
    LLaMA-Factory 0.9.5 interleaves once, when it loads (data/data_utils.py: merge_dataset): the rows that are left
    out come in no later epoch, either. A tiny dataset ends the mixture for all.

    ## Bad
    ```yaml train.yaml
    dataset: data,more
    mix_strategy: interleave_under
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}},
     "more": {"file_name": "more.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Who is it?,It is me.
    Where is it?,There.
    When is it?,Now.
    ```
    ```csv more.csv
    q,a
    Why?,So.
    ```

    ## Good
    ```yaml train.yaml
    dataset: data,more
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}},
     "more": {"file_name": "more.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Who is it?,It is me.
    Where is it?,There.
    When is it?,Now.
    ```
    ```csv more.csv
    q,a
    Why?,So.
    ```

    ## Fix
    Use `concat`, which takes all rows, and `num_samples` in the entry of what is too large.
    """
    for name, size, part in parts_of(view):
        if size and 1 - part / size > view.run.thresholds.max_undrawn_share:
            found = f"about {percent(1 - part / size)} of the rows of dataset {name} are never drawn ({size} in all)"
            yield in_yaml(view.run, "mix_strategy", found, "a mixture that takes most rows")


def rows_drawn_often(view: EndView) -> Iterator[Found]:
    """Interleaving that draws the rows of a small dataset over and over.

    ## What it finds
    Under `interleave_over`, a dataset whose rows come more than `max-draws` times in one epoch.

    ## Why it matters
    LLaMA-Factory 0.9.5 goes on until the largest dataset has ended, and begins the others anew each time
    (data/data_utils.py: merge_dataset). The few rows are learned by heart before the first epoch is over.

    ## Bad
    ```yaml train.yaml
    dataset: data,more
    mix_strategy: interleave_over
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}},
     "more": {"file_name": "more.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Who is it?,It is me.
    Where is it?,There.
    When is it?,Now.
    What is it?,A cat.
    Whose is it?,Mine.
    How is it?,Well.
    ```
    ```csv more.csv
    q,a
    Why?,So.
    ```

    ## Good
    ```yaml train.yaml
    dataset: data,more
    mix_strategy: interleave_over
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}},
     "more": {"file_name": "more.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Who is it?,It is me.
    Where is it?,There.
    When is it?,Now.
    ```
    ```csv more.csv
    q,a
    Why?,So.
    ```

    ## Fix
    Use `concat`, with a moderate `num_samples` in the entry of the small one.
    """
    for name, size, part in parts_of(view):
        if size and part / size > view.run.thresholds.max_draws:
            found = f"each row of dataset {name} is drawn about {part / size:.0f} times an epoch ({size} in all)"
            yield in_yaml(view.run, "mix_strategy", found, "a few times at most")


def one_answer_dominates(view: EndView) -> Iterator[Found]:
    """One answer for nearly every question.

    ## What it finds
    A dataset to train on of at least `min-mixture-rows` rows, of which more than `max-answer-share` have the same
    answer.

    ## Why it matters
    The model can lower its loss by always saying it, and mostly does: the question and the picture no longer matter.

    ## Bad
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Is it 1?,No.
    Is it 2?,No.
    Is it 3?,No.
    Is it 4?,No.
    Is it 5?,No.
    Is it 6?,No.
    Is it 7?,No.
    Is it 8?,No.
    Is it 9?,No.
    Is it 10?,No.
    Is it 11?,No.
    Is it 12?,No.
    Is it 13?,No.
    Is it 14?,No.
    Is it 15?,No.
    Is it 16?,No.
    Is it 17?,No.
    Is it 18?,No.
    Is it 19?,No.
    Is it 20?,Yes.
    ```

    ## Good
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Is it odd: 1?,Yes.
    Is it odd: 2?,No.
    Is it odd: 3?,Yes.
    Is it odd: 4?,No.
    ```

    ## Fix
    Add rows with other answers, or take fewer of these.
    """
    limit = view.run.thresholds.max_answer_share
    for dataset, row, line, share in dominant(view, "answer", limit):
        words = f"{percent(share)} of the dataset's rows have the answer of this one"
        yield at_row(view.traces, dataset, row, line, words, f"at most {percent(limit)}")


def one_question_for_all(view: EndView) -> Iterator[Found]:
    """One question in nearly every row.

    ## What it finds
    A dataset to train on of at least `min-mixture-rows` rows, of which more than `max-question-share` ask the same,
    system prompt and tools included; media tags do not count.

    ## Why it matters
    The model learns to give such an answer whatever is asked, and does worse on a question put otherwise. For a model
    that will only ever be asked this, it is no fault.

    ## Bad
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Name one.,Cat
    Name one.,Dog
    Name one.,Cow
    Name one.,Pig
    Name one.,Hen
    Name one.,Owl
    Name one.,Bee
    Name one.,Ant
    Name one.,Fox
    Name one.,Elk
    Name one.,Ape
    Name one.,Bat
    Name one.,Rat
    Name one.,Eel
    Name one.,Cod
    Name one.,Emu
    Name one.,Gnu
    Name one.,Yak
    Name one.,Jay
    Name one.,Ram
    ```

    ## Good
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Name a pet.,Cat
    What barks?,Dog
    What gives milk?,Cow
    ```

    ## Fix
    Put the question in several ways, unless it will never be put otherwise.
    """
    limit = view.run.thresholds.max_question_share
    for dataset, row, line, share in dominant(view, "question", limit):
        words = f"{percent(share)} of the dataset's rows ask what this one does"
        yield at_row(view.traces, dataset, row, line, words, "")


def more_evaluated_than_trained(view: EndView) -> Iterator[Found]:
    """More rows to evaluate with than to train on.

    ## What it finds
    Datasets under `eval_dataset` with more rows than those under `dataset`.

    ## Why it matters
    LLaMA-Factory 0.9.5 evaluates on all of them, each time that eval_steps or eval_strategy says so: the run spends
    more time on that than on training. Often the two names are swapped.

    ## Bad
    ```yaml train.yaml
    eval_dataset: held
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}},
     "held": {"file_name": "held.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Why?,So.
    ```
    ```csv held.csv
    q,a
    Who is it?,It is me.
    Where is it?,There.
    ```

    ## Good
    ```yaml train.yaml
    eval_dataset: held
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.csv", "columns": {"prompt": "q", "response": "a"}},
     "held": {"file_name": "held.csv", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```csv data.csv
    q,a
    Who is it?,It is me.
    Where is it?,There.
    ```
    ```csv held.csv
    q,a
    Why?,So.
    ```

    ## Fix
    Swap the two, or set `num_samples` in the entries to evaluate with.
    """
    trained, evaluated = sum(sizes(view)), sum(sizes(view, evaluates=True))
    if trained and evaluated > trained:
        yield in_yaml(view.run, "eval_dataset", f"{evaluated} rows to evaluate with, {trained} to train on", "")


def sizes(view: EndView, evaluates: bool = False) -> list[int]:
    """The rows that the merge gets of each dataset, those that are dropped later among them."""
    limit = view.run.settings.max_samples
    result = []
    for end in view.datasets:
        if end.dataset.evaluates is evaluates:
            wanted = end.dataset.num_samples
            rows = end.census.rows if wanted is None or not end.census.rows else wanted
            result.append(rows if limit is None else min(rows, limit))
    return result


def parts_of(view: EndView) -> Iterator[tuple[str, int, float]]:
    """Name, rows, and rows that an epoch draws, of each of several datasets of a train yaml."""
    have = sizes(view)
    parts = drawn(have, view.run.settings.raw) if view.run.settings.file is not None and len(have) > 1 else None
    if parts is not None:
        names = [view.traces.datasets[number].name for number in view.traces.learned]
        yield from zip(names, have, parts, strict=True)


def shares(view: EndView) -> list[tuple[str, float]]:
    """Each dataset's part in an epoch."""
    parts = [(name, part) for name, _, part in parts_of(view)]
    whole = sum(part for _, part in parts)
    return [(name, part / whole) for name, part in parts] if whole else []


def dominant(view: EndView, column: str, limit: float) -> Iterator[tuple[int, int, int, float]]:
    """Of each dataset with a hash that more than this share of its rows have: dataset, that hash's first row and line,
    share."""
    traces: Traces = view.traces
    for dataset in traces.learned:
        rows = traces.rows.filter(pl.col("dataset") == dataset)
        if len(rows) < view.run.thresholds.min_mixture_rows:
            continue
        counts = rows[column].value_counts(sort=True)
        value, count = counts.row(0)
        if count > limit * len(rows):
            row, line = rows.filter(pl.col(column) == value).select("row", "line").row(0)
            yield dataset, row, line, count / len(rows)


def media_form(view: EndView, dataset: int, kind: MediaKind) -> str:
    """How a dataset gives its media of one kind; empty where it has none, or where that is not known."""
    column = view.traces.datasets[dataset].plan.entry.media_column(kind)
    law = view.traces.datasets[dataset].loader.law
    if column is None or law is None or not view.datasets[dataset].census.media.get(column):
        return ""
    import pyarrow as pa

    kind_of = law.field(column).type
    item = item_of(kind_of) if pa.types.is_list(kind_of) or pa.types.is_large_list(kind_of) else kind_of
    if pa.types.is_string(item) or pa.types.is_large_string(item):
        return "paths"
    if pa.types.is_binary(item) or pa.types.is_large_binary(item):
        return "bytes"
    if pa.types.is_struct(item):
        return "objects"
    return "lists of frames" if is_nested(item) else ""


def percent(share: float) -> str:
    """`97.4 %`, `5 %`."""
    return f"{100 * share:.1f}".removesuffix(".0") + " %"
