"""DUP: rows, answers and media that stand in the data more than once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import polars as pl

from validators.findings import Found, Place
from validators.rules.rule import BatchView, EndView
from validators.traces.alike import doubles, later, of, repeated
from validators.traces.gather import kept
from validators.traces.hashing import media_hashes
from validators.traces.model import KIND_NAMES, TALK
from validators.traces.nearly import alike, copied, near_texts, within
from validators.traces.words import at_row, column_of, counted, shared_rows


def duplicate_row(view: EndView) -> Iterator[Found]:
    """A row that repeats an earlier one of its dataset.

    ## What it finds
    A row with the turns, tools and media of an earlier row. Media tags, spaces around a turn and the full stop at an
    answer's end do not count. Rows that are dropped do not, either.

    ## Why it matters
    LLaMA-Factory 0.9.5 removes no duplicates (data/loader.py): each copy is one more step on the same row. With
    `val_size`, one copy can be held out while the other is trained on.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]},
     {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]},
     {"messages": [{"role": "user", "content": "And now?"}, {"role": "assistant", "content": "Good bye."}]}]
    ```

    ## Fix
    Remove the copy, unless the row is meant to weigh more.
    """
    for dataset, row, line, _, first in doubles(view.traces).select(WHERE).iter_rows():
        file, _ = view.traces.place(dataset, row)
        same = view.traces.words(dataset, first, file)
        yield at_row(view.traces, dataset, row, line, f"the same conversation and media as {same}", "each row once")


def row_in_two_datasets(view: EndView) -> Iterator[Found]:
    """A row that another dataset of the run has, too.

    ## What it finds
    A row to train on with the turns, tools and media of a row of an earlier dataset of the train yaml. Where half of
    a dataset's rows are such, it is said once for the dataset.

    ## Why it matters
    LLaMA-Factory 0.9.5 puts the datasets together as they are (data/data_utils.py: merge_dataset): the row is trained
    on twice an epoch, and the mixture is not the one that the yaml seems to say.

    ## Bad
    ```yaml train.yaml
    dataset: data,more
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "columns": {"prompt": "q", "response": "a"}},
     "more": {"file_name": "more.json", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```json data.json
    [{"q": "Hi", "a": "Hello."}, {"q": "And now?", "a": "Good bye."}]
    ```
    ```json more.json
    [{"q": "Who is it?", "a": "It is me."}, {"q": "Why?", "a": "So."}, {"q": "Hi", "a": "Hello."}]
    ```

    ## Good
    ```yaml train.yaml
    dataset: data,more
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "columns": {"prompt": "q", "response": "a"}},
     "more": {"file_name": "more.json", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```json data.json
    [{"q": "Hi", "a": "Hello."}, {"q": "And now?", "a": "Good bye."}]
    ```
    ```json more.json
    [{"q": "Who is it?", "a": "It is me."}, {"q": "Why?", "a": "So."}]
    ```

    ## Fix
    Take the row, or the dataset, out of one of the two.
    """
    traces = view.traces
    if not is_mixed(view):
        return
    own = of(traces.rows, traces.learned).unique(["dataset", *TALK], keep="first", maintain_order=True)
    shared = later(repeated(own, TALK))
    yield from shared_rows(traces, shared, "the same conversation and media as {}", "each row in one dataset")


def conflicting_answers(view: EndView) -> Iterator[Found]:
    """The same question about the same media, and another answer.

    ## What it finds
    A row with media, whose questions and media are those of an earlier row to train on, while the answers differ. Only
    answers of at most `short-answer-chars` characters are compared: two long ones may both be right.

    ## Why it matters
    A label, a number, a yes and a no cannot both be right. The model is pulled both ways and learns neither;
    LLaMA-Factory 0.9.5 compares no rows.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>Is it a cat?"}, {"role": "assistant", "content": "Yes."}],
      "images": ["cat.jpg"]},
     {"messages": [{"role": "user", "content": "<image>Is it a cat?"}, {"role": "assistant", "content": "No."}],
      "images": ["cat.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>Is it a cat?"}, {"role": "assistant", "content": "Yes."}],
      "images": ["cat.jpg"]},
     {"messages": [{"role": "user", "content": "<image>Is it a cat?"}, {"role": "assistant", "content": "No."}],
      "images": ["dog.jpg"]}]
    ```

    ## Fix
    Look at the medium, and remove the row that is wrong.
    """
    traces = view.traces
    short = pl.col("size").is_between(1, view.run.thresholds.short_answer_chars)
    rows = of(traces.rows, traces.learned).filter((pl.col("media") != 0) & short)
    scope = [] if is_mixed(view) else ["dataset"]
    asked = [*scope, "question", "media"]
    rows = rows.unique([*asked, "answer"], keep="first", maintain_order=True)
    for dataset, row, line, first_dataset, first in later(repeated(rows, asked)).select(WHERE).iter_rows():
        file, _ = traces.place(dataset, row)
        other = traces.words(first_dataset, first, file)
        found = f"another answer than {other} gives to the same question about the same media"
        yield at_row(traces, dataset, row, line, found, "one answer to a question")


def medium_listed_twice(view: BatchView) -> Iterator[Found]:
    """The same medium twice in one turn.

    ## What it finds
    A turn with two tags for the same file, or for the same bytes. A medium that a later turn shows again does not
    count.

    ## Why it matters
    Each entry is loaded, and takes its full number of tokens (LLaMA-Factory 0.9.5, data/mm_plugin.py:
    process_messages). A question about two pictures, of which the second is missing, can have no right answer.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image><image>Who?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg", "cat.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image><image>Who?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg", "dog.jpg"]}]
    ```

    ## Fix
    Name the medium that was meant, or remove the second tag and entry.
    """
    if not (view.batch.media["slot"] > 0).any():
        return
    media = media_hashes(view.batch, view.dataset.media_dir)
    same = media.filter(pl.struct("row", "kind", "identity").is_duplicated())
    if not len(same):
        return
    sound = kept(view)
    for (row, kind, _), group in same.join(sound, on="row", how="semi").group_by(
        "row", "kind", "identity", maintain_order=True
    ):
        tags = view.batch.turns.filter((pl.col("row") == row) & (pl.col("pos") >= 0))
        counts = tags.select("turn", pl.col("content").str.count_matches(KIND_NAMES[kind].tag, literal=True))
        turn_of = [turn for turn, count in counts.iter_rows() for _ in range(count)]
        for first, second in pairwise(group["slot"]):
            if second < len(turn_of) and turn_of[first] == turn_of[second]:
                column = view.dataset.entry.media_column(KIND_NAMES[kind])
                found = f"{column}[{first}] and {column}[{second}] are the same"
                yield Found(Place(row, f"{column}[{second}]"), found, "each medium once in a turn")
                break


def one_answer_for_many_media(view: EndView) -> Iterator[Found]:
    """A long answer that stands, word for word, under several media.

    ## What it finds
    Rows to train on with the same turns, at least `long-answer-chars` characters of answers together, and at least
    three different sets of media.

    ## Why it matters
    A description of one picture is rarely true of another: such rows are often placeholders, or a join that went
    wrong, and teach the model to answer without looking.

    ## Bad
    ```json data.json
    [{"q": "<image>Describe it.", "a": "The picture shows a cat that lies on a red sofa and sleeps in the sun.",
      "images": ["cat.jpg"]},
     {"q": "<image>Describe it.", "a": "The picture shows a cat that lies on a red sofa and sleeps in the sun.",
      "images": ["dog.jpg"]},
     {"q": "<image><image>Describe it.", "a": "The picture shows a cat that lies on a red sofa and sleeps in the sun.",
      "images": ["cat.jpg", "dog.jpg"]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "columns": {"prompt": "q", "response": "a", "images": "images"}}}
    ```

    ## Good
    ```json data.json
    [{"q": "<image>Describe it.", "a": "The picture shows a cat that lies on a red sofa and sleeps in the sun.",
      "images": ["cat.jpg"]},
     {"q": "<image>Describe it.", "a": "The picture shows a dog that runs over a wide field after a yellow ball.",
      "images": ["dog.jpg"]}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "columns": {"prompt": "q", "response": "a", "images": "images"}}}
    ```

    ## Fix
    Look whether the answer is true of each; write one for each medium.
    """
    traces = view.traces
    long = pl.col("size") >= view.run.thresholds.long_answer_chars
    rows = of(traces.rows, traces.learned).filter((pl.col("media") != 0) & long)
    rows = rows.unique(["dataset", *TALK], keep="first", maintain_order=True)
    twins = repeated(rows, ["dataset", "question", "answer"])
    for group in twins.partition_by("dataset", "question", "answer", maintain_order=True):
        if len(group) >= FEWEST_MEDIA:
            dataset, row, line = group.select("dataset", "row", "line").row(0)
            others = counted(traces, dataset, group["row"].to_list()[1:])
            found = f"the same turns stand in {others}, with other media"
            yield at_row(traces, dataset, row, line, found, "an answer of its own for each medium")


def nearly_same_text(view: EndView) -> Iterator[Found]:
    """A conversation that is an earlier one but for a few words, about the same media.

    ## What it finds
    A row to train on with the media, or without any, of an earlier row, whose text and whose answers have a share of
    at least `near-text-likeness` of their strings of five characters in common with that row's. Texts of less than 80
    characters are not compared. Candidates come from MinHash, and each is then
    compared in full.

    ## Why it matters
    Rows that were reworded by a machine, or crawled twice, weigh as often as they come. LLaMA-Factory 0.9.5 compares
    no rows.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Tell me of the cat that lives in the old house by the river."},
      {"role": "assistant", "content": "It is a big grey cat that sleeps on the sofa and hunts mice at night."}]},
     {"messages": [{"role": "user", "content": "Tell me of the cat that lives in the old house by the river!"},
      {"role": "assistant", "content": "It is a big grey cat that sleeps on the sofa, and hunts mice at night."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Tell me of the cat that lives in the old house by the river."},
      {"role": "assistant", "content": "It is a big grey cat that sleeps on the sofa and hunts mice at night."}]},
     {"messages": [{"role": "user", "content": "Tell me of the dog that lives in the old house by the river."},
      {"role": "assistant", "content": "He is small and loud. He barks at every boat, and has no name."}]}]
    ```

    ## Fix
    Keep one of them.
    """
    traces = view.traces
    pairs = near_texts(traces, view.run.thresholds.near_text_likeness)
    for dataset, row, line, first_dataset, first, share in (
        of(pairs, traces.learned).select([*WHERE, "likeness"]).iter_rows()
    ):
        file, _ = traces.place(dataset, row)
        found = f"the text of {traces.words(first_dataset, first, file)} but for little ({share:.2f} alike), same media"
        yield at_row(traces, dataset, row, line, found, "each conversation once")


def copied_medium(view: EndView) -> Iterator[Found]:
    """Files with the same bytes under several names.

    ## What it finds
    A media file to train on that is, byte for byte, another one that a row to train on lists. Said once for a file.

    ## Why it matters
    Rows that seem to be about different media are about one: duplicates, contradicting answers and leaks between
    splits are not seen by their paths.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]},
     {"messages": [{"role": "user", "content": "<image>Where is it?"}, {"role": "assistant", "content": "Here."}],
      "images": ["copy.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]},
     {"messages": [{"role": "user", "content": "<image>Where is it?"}, {"role": "assistant", "content": "Here."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Keep one of the files, and let all rows name it.
    """
    yield from twins_within(view, copied(view.traces), "the same bytes as {} under another name", "one name for a file")


def nearly_same_image(view: EndView) -> Iterator[Found]:
    """An image that shows nearly what another one shows.

    ## What it finds
    An image to train on whose small grey copy correlates with that of an earlier one by at least
    `near-image-likeness`, and whose details agree: the same picture in another size, compression or brightness, or
    two frames of a still scene. Images of one colour, or with nothing but an even slope, are not compared. Said once
    for an image.

    ## Why it matters
    The picture weighs as often as it comes, and a random split puts it on both sides.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]},
     {"messages": [{"role": "user", "content": "<image>Where is it?"}, {"role": "assistant", "content": "Here."}],
      "images": ["dim.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]},
     {"messages": [{"role": "user", "content": "<image>Where is it?"}, {"role": "assistant", "content": "Here."}],
      "images": ["dog.jpg"]}]
    ```

    ## Fix
    Keep the better one, unless the difference is what the rows are about.
    """
    twins = alike(view.traces, view.run.thresholds.near_image_likeness)
    yield from twins_within(view, twins, "shows nearly what {} shows ({:.3f} alike)", "")


def twins_within(view: EndView, twins: pl.DataFrame, words: str, expected: str) -> Iterator[Found]:
    """Findings on media to train on that have a twin there. words: {} for the twin, and maybe one for the likeness."""
    traces = view.traces
    columns = ["dataset", "row", "line", "kind", "slot", "first_dataset", "first_row", "first_slot", "likeness"]
    lines = within(traces, twins).select(columns).iter_rows()
    for dataset, row, line, kind, slot, first_dataset, first, first_slot, share in lines:
        file, _ = traces.place(dataset, row)
        other = f"{column_of(traces, first_dataset, kind)}[{first_slot}] of {traces.words(first_dataset, first, file)}"
        path = f"{column_of(traces, dataset, kind)}[{slot}]"
        yield at_row(traces, dataset, row, line, words.format(other, share), expected, path)


WHERE = ["dataset", "row", "line", "first_dataset", "first_row"]
FEWEST_MEDIA = 3


def is_mixed(view: EndView) -> bool:
    """Whether the datasets are trained on together: a train yaml names them."""
    return view.run.settings.file is not None
