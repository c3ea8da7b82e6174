"""LEK: what is learned and what is measured with, kept apart."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from validators.findings import Found, Place
from validators.rules.rule import EndView
from validators.traces.alike import across, keyed, leaked, leaked_media, of
from validators.traces.model import TALK
from validators.traces.nearly import alike, beyond, copied, near_texts
from validators.traces.words import shared_rows


def row_in_evaluation(view: EndView) -> Iterator[Found]:
    """A row to evaluate with that is trained on.

    ## What it finds
    A row of an `eval_dataset` with the turns, tools and media of a row of a `dataset`. Where half of the rows are
    such, it is said once for the dataset.

    ## Why it matters
    LLaMA-Factory 0.9.5 loads both as they are (data/loader.py: get_dataset): eval_loss then tells how well the row is
    remembered, not how well the model does on what it has not seen, and early stopping and the choice of the best
    checkpoint follow it.

    ## Bad
    ```yaml train.yaml
    eval_dataset: data
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
    Why?,So.
    ```
    ```csv held.csv
    q,a
    Where is it?,There.
    ```

    ## Fix
    Take the rows out of the dataset to train on, or evaluate with others.
    """
    expected = "rows that are not trained on"
    yield from shared_rows(
        view.traces, leaked(view.traces), "the same conversation and media as {} to train on", expected
    )


def medium_in_evaluation(view: EndView) -> Iterator[Found]:
    """A medium to evaluate with that is trained on.

    ## What it finds
    A row of an `eval_dataset` that lists a file, or bytes, that a row of a `dataset` lists too, with another
    conversation. Paths are compared as the trainer opens them.

    ## Why it matters
    The model has seen the picture with its answers, and often a question next to this one: the measure is better than
    the model. Random splits by row do this to data with several rows for each picture.

    ## Bad
    ```yaml train.yaml
    eval_dataset: held
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.jsonl", "columns": {"prompt": "q", "response": "a", "images": "images"}},
     "held": {"file_name": "held.jsonl", "columns": {"prompt": "q", "response": "a", "images": "images"}}}
    ```
    ```jsonl data.jsonl
    {"q": "<image>What is it?", "a": "A cat.", "images": ["cat.jpg"]}
    ```
    ```jsonl held.jsonl
    {"q": "<image>Where is it?", "a": "On a sofa.", "images": ["./cat.jpg"]}
    ```

    ## Good
    ```yaml train.yaml
    eval_dataset: held
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.jsonl", "columns": {"prompt": "q", "response": "a", "images": "images"}},
     "held": {"file_name": "held.jsonl", "columns": {"prompt": "q", "response": "a", "images": "images"}}}
    ```
    ```jsonl data.jsonl
    {"q": "<image>What is it?", "a": "A cat.", "images": ["cat.jpg"]}
    ```
    ```jsonl held.jsonl
    {"q": "<image>Where is it?", "a": "On a sofa.", "images": ["dog.jpg"]}
    ```

    ## Fix
    Split by medium: all rows of one medium on the same side.
    """
    found = "the same medium as {} to train on"
    yield from shared_rows(view.traces, leaked_media(view.traces), found, "media that are not trained on")


def text_in_evaluation(view: EndView) -> Iterator[Found]:
    """A long answer to evaluate with that is trained on under other media.

    ## What it finds
    A row of an `eval_dataset` with the turns of a row of a `dataset`, answers of at least `long-answer-chars`
    characters together, and other media.

    ## Why it matters
    The answer can be said by heart, without a look at the medium; the medium may be a copy under another name.

    ## Bad
    ```yaml train.yaml
    eval_dataset: held
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "columns": {"prompt": "q", "response": "a", "images": "images"}},
     "held": {"file_name": "held.json", "columns": {"prompt": "q", "response": "a", "images": "images"}}}
    ```
    ```json data.json
    [{"q": "<image>What is it?", "a": "A cat that lies on a red sofa in the sun and sleeps beside an old book.",
      "images": ["cat.jpg"]}]
    ```
    ```json held.json
    [{"q": "<image>What is it?", "a": "A cat that lies on a red sofa in the sun and sleeps beside an old book.",
      "images": ["dog.jpg"]}]
    ```

    ## Good
    ```yaml train.yaml
    eval_dataset: held
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "columns": {"prompt": "q", "response": "a", "images": "images"}},
     "held": {"file_name": "held.json", "columns": {"prompt": "q", "response": "a", "images": "images"}}}
    ```
    ```json data.json
    [{"q": "<image>What is it?", "a": "A cat that lies on a red sofa in the sun and sleeps beside an old book.",
      "images": ["cat.jpg"]}]
    ```
    ```json held.json
    [{"q": "<image>What is it?", "a": "A dog that runs over a wide field in the rain after a yellow rubber ball.",
      "images": ["dog.jpg"]}]
    ```

    ## Fix
    Look whether the media are the same; take the row out of one of the two.
    """
    traces = view.traces
    long = traces.rows.filter(pl.col("size") >= view.run.thresholds.long_answer_chars)
    shared = across(long, traces.learned, traces.evaluated, ["question", "answer"])
    for known in (leaked(traces), leaked_media(traces)):
        shared = shared.join(known, on=["dataset", "row"], how="anti", maintain_order="left")
    found = "the same questions and long answers as {} to train on, with other media"
    yield from shared_rows(traces, shared, found, "text that is not trained on")


def held_copied_medium(view: EndView) -> Iterator[Found]:
    """A medium to evaluate with that is trained on under another name.

    ## What it finds
    A row of an `eval_dataset` that lists a file which is, byte for byte, one that a row of a `dataset` lists under
    another name.

    ## Why it matters
    The model has seen the picture with its answers: the measure is better than the model. Nothing in the paths tells.

    ## Bad
    ```yaml train.yaml
    eval_dataset: held
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.jsonl", "columns": {"prompt": "q", "response": "a", "images": "images"}},
     "held": {"file_name": "held.jsonl", "columns": {"prompt": "q", "response": "a", "images": "images"}}}
    ```
    ```jsonl data.jsonl
    {"q": "<image>What is it?", "a": "A cat.", "images": ["cat.jpg"]}
    ```
    ```jsonl held.jsonl
    {"q": "<image>Where is it?", "a": "On a sofa.", "images": ["copy.jpg"]}
    ```

    ## Good
    ```yaml train.yaml
    eval_dataset: held
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.jsonl", "columns": {"prompt": "q", "response": "a", "images": "images"}},
     "held": {"file_name": "held.jsonl", "columns": {"prompt": "q", "response": "a", "images": "images"}}}
    ```
    ```jsonl data.jsonl
    {"q": "<image>What is it?", "a": "A cat.", "images": ["cat.jpg"]}
    ```
    ```jsonl held.jsonl
    {"q": "<image>Where is it?", "a": "On a sofa.", "images": ["dog.jpg"]}
    ```

    ## Fix
    Split by content: all rows of one medium, whatever its names, on the same side.
    """
    found = "the same bytes as a medium of {} to train on"
    yield from shared_rows(
        view.traces, beyond(view.traces, copied(view.traces)), found, "media that are not trained on"
    )


def held_like_image(view: EndView) -> Iterator[Found]:
    """An image to evaluate with that shows nearly what one to train on shows.

    ## What it finds
    A row of an `eval_dataset` with an image whose small grey copy correlates with that of an image of a `dataset` by at
    least `near-image-likeness`: another size, compression or brightness of one picture, or two frames of a still scene.

    ## Why it matters
    For the model it is the picture that it was trained on; the measure is better than the model.

    ## Bad
    ```yaml train.yaml
    eval_dataset: held
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.jsonl", "columns": {"prompt": "q", "response": "a", "images": "images"}},
     "held": {"file_name": "held.jsonl", "columns": {"prompt": "q", "response": "a", "images": "images"}}}
    ```
    ```jsonl data.jsonl
    {"q": "<image>What is it?", "a": "A cat.", "images": ["cat.jpg"]}
    ```
    ```jsonl held.jsonl
    {"q": "<image>Where is it?", "a": "On a sofa.", "images": ["dim.jpg"]}
    ```

    ## Good
    ```yaml train.yaml
    eval_dataset: held
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.jsonl", "columns": {"prompt": "q", "response": "a", "images": "images"}},
     "held": {"file_name": "held.jsonl", "columns": {"prompt": "q", "response": "a", "images": "images"}}}
    ```
    ```jsonl data.jsonl
    {"q": "<image>What is it?", "a": "A cat.", "images": ["cat.jpg"]}
    ```
    ```jsonl held.jsonl
    {"q": "<image>Where is it?", "a": "On a sofa.", "images": ["dog.jpg"]}
    ```

    ## Fix
    Put both on the same side of the split.
    """
    traces = view.traces
    pairs = beyond(traces, alike(traces, view.run.thresholds.near_image_likeness))
    copies = beyond(traces, copied(traces))
    pairs = pairs.join(copies, on=["dataset", "row"], how="anti", maintain_order="left")
    found = "an image that shows nearly what one of {} to train on shows"
    yield from shared_rows(traces, pairs, found, "images that are not trained on")


def held_like_text(view: EndView) -> Iterator[Found]:
    """A conversation to evaluate with that is trained on but for a few words.

    ## What it finds
    A row of an `eval_dataset` with the media, or without any, of a row of a `dataset`, whose text and whose answers
    have a share of at least `near-text-likeness` of their strings of five characters in common with that row's.

    ## Why it matters
    The answer can be said by heart: the measure is better than the model.

    ## Bad
    ```yaml train.yaml
    eval_dataset: held
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "columns": {"prompt": "q", "response": "a"}},
     "held": {"file_name": "held.json", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```json data.json
    [{"q": "Tell me of the cat that lives by the river.",
      "a": "It is a big grey cat that sleeps on the sofa all day and hunts mice at night."}]
    ```
    ```json held.json
    [{"q": "Tell me of the cat that lives by the river!",
      "a": "It is a big grey cat that sleeps on the sofa all day, and hunts mice at night."}]
    ```

    ## Good
    ```yaml train.yaml
    eval_dataset: held
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "columns": {"prompt": "q", "response": "a"}},
     "held": {"file_name": "held.json", "columns": {"prompt": "q", "response": "a"}}}
    ```
    ```json data.json
    [{"q": "Tell me of the cat that lives by the river.",
      "a": "It is a big grey cat that sleeps on the sofa all day and hunts mice at night."}]
    ```
    ```json held.json
    [{"q": "Tell me of the dog that lives by the river.",
      "a": "He is small and loud. He barks at every boat, and has no name."}]
    ```

    ## Fix
    Take the row out of one of the two.
    """
    traces = view.traces
    pairs = near_texts(traces, view.run.thresholds.near_text_likeness)
    pairs = of(pairs, traces.evaluated).filter(pl.col("first_dataset").is_in(traces.learned))
    found = "the text of {} to train on but for little, with the same media"
    yield from shared_rows(traces, pairs, found, "text that is not trained on")


def shared_hold_out(view: EndView) -> Iterator[Found]:
    """A random hold-out of rows that share their media, or repeat each other.

    ## What it finds
    `val_size` over datasets of which more than `max-shared-share` of the rows list a medium that another row lists
    too, or are equal to another row.

    ## Why it matters
    LLaMA-Factory 0.9.5 draws the hold-out row by row from the merged datasets (data/data_utils.py: split_dataset;
    datasets: train_test_split): rows of one picture fall on both sides, and eval_loss is better than the model.

    ## Bad
    ```yaml train.yaml
    val_size: 0.5
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]},
     {"messages": [{"role": "user", "content": "<image>Where is it?"}, {"role": "assistant", "content": "Here."}],
      "images": ["cat.jpg"]}]
    ```

    ## Good
    ```yaml train.yaml
    val_size: 0.5
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]},
     {"messages": [{"role": "user", "content": "<image>Where is it?"}, {"role": "assistant", "content": "Here."}],
      "images": ["dog.jpg"]}]
    ```

    ## Fix
    Split by medium beforehand, all rows of one medium on the same side, and name the smaller part in `eval_dataset`.
    """
    traces, settings = view.traces, view.run.settings
    size = settings.raw.get("val_size")
    if settings.file is None or isinstance(size, bool) or not isinstance(size, int | float) or size <= 1e-6:
        return
    rows, media = of(traces.rows, traces.learned), of(traces.media, traces.learned)
    media = media.unique(["dataset", "row", "kind", "identity"], maintain_order=True)
    seen = media.filter(keyed(media, ["kind", "identity"]).is_duplicated())
    doubled = rows.filter(keyed(rows, TALK).is_duplicated())
    bound = pl.concat([frame.select("dataset", "row") for frame in (seen, doubled)]).n_unique()
    if bound > view.run.thresholds.max_shared_share * len(rows):
        pictures = seen.select("kind", "identity").n_unique()
        found = f"val_size {size} draws single rows, of which {bound} of {len(rows)} have a partner"
        found += f" (media that stand in more than one row: {pictures})" if pictures else " (an equal row)"
        yield Found(Place(None, "val_size"), found, "a split by medium", file=settings.file)
