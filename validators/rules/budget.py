"""BUD: tokens against cutoff_len."""

from __future__ import annotations

from collections.abc import Iterator

from validators.findings import Found, Place
from validators.rules.rule import BatchView, DatasetView, RunView


def tokenizer_not_found(view: RunView) -> Iterator[Found]:
    """No tokenizer to count with.

    ## What it finds
    A template is known, but neither model_name_or_path nor `--tokenizer` leads to a tokenizer.json on this machine,
    and the model is not one whose vocabulary is embedded (Qwen2 to Qwen3, MiniCPM-V 2.6 and 4.5, MiniCPM-o).

    ## Why it matters
    Tokens are then bounded by bytes, of which byte-level BPE never makes more. Rows whose bound fits cutoff_len are
    safe; nothing can be said of the others.

    ## Bad
    ```yaml train.yaml
    model_name_or_path: openbmb/MiniCPM-V-4
    template: minicpm_v
    ```

    ## Good
    ```yaml train.yaml
    model_name_or_path: model
    template: minicpm_v
    ```

    ## Fix
    Give `--tokenizer PATH`: a tokenizer.json or the folder that holds one.
    """
    if view.template is not None and view.counter is None:
        yield Found(
            Place(None, "model_name_or_path"),
            f"no tokenizer.json for {view.settings.model!r} on this machine",
            "a local model folder or --tokenizer",
            "tokens are bounded by bytes until then",
            file=view.settings.file or "command line",
        )


def embedded_tokenizer(view: RunView) -> Iterator[Found]:
    """Text counted with a vocabulary that was embedded, not with the model's own files.

    ## What it finds
    No tokenizer.json of the model is on this machine, but its name and the template tell which published one it has:
    the Qwen2 vocabulary, which Qwen2 to Qwen3 and the MiniCPM models built on them share, and the release's added
    tokens. Processor settings are the release's published ones too.

    ## Why it matters
    Counts are exact for the published model. A model that changed its vocabulary or its processor config would count
    otherwise.

    ## Bad
    ```yaml train.yaml
    model_name_or_path: openbmb/MiniCPM-V-4_5
    template: minicpm_v
    ```

    ## Good
    ```yaml train.yaml
    model_name_or_path: model
    template: minicpm_v
    ```

    ## Fix
    None is needed for a published model. For another, give `--tokenizer PATH` or the model's folder.
    """
    if view.counter is not None and view.counter.assumed:
        yield Found(
            Place(None, "model_name_or_path"),
            f"counted with the embedded {view.counter.assumed}: no tokenizer.json for {view.settings.model!r} here",
            "a model of that release",
            "a local model folder or --tokenizer, if the model is another",
            file=view.settings.file or "command line",
        )


def uncounted_rows(view: DatasetView) -> Iterator[Found]:
    """Rows whose tokens are not known.

    ## What it finds
    Rows of a template, a modality or a role whose token count is not replayed, or which only have a bound that does
    not fit cutoff_len.

    ## Why it matters
    The summary's figures leave them out. They are named so that silence is not taken for safety.

    ## Bad
    ```yaml train.yaml
    template: youtu_vl
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Good
    ```yaml train.yaml
    template: qwen2_vl
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    None is needed; compare with a short run of the trainer.
    """
    for reason, rows in view.uncounted.items():
        yield Found(Place(), f"{rows} rows not counted: {reason}", "counted rows")


def text_truncated(view: BatchView) -> Iterator[Found]:
    """A row longer than cutoff_len, cut in its text.

    ## What it finds
    More tokens than cutoff_len, with every media token still inside.

    ## Why it matters
    LLaMA-Factory 0.9.5 cuts turn by turn without a word (data/processor/supervised.py: _encode_data_example): a
    question loses its end and the assistant header, an answer loses its end and the stop token.

    ## Bad
    ```yaml train.yaml
    cutoff_len: 24
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi, what is this about?"},
      {"role": "assistant", "content": "It is about a cat, a dog, a clip and a tone, one after the other."}]}]
    ```

    ## Good
    ```yaml train.yaml
    cutoff_len: 256
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi, what is this about?"},
      {"role": "assistant", "content": "It is about a cat, a dog, a clip and a tone, one after the other."}]}]
    ```

    ## Fix
    Raise cutoff_len to the value that the summary names, or shorten the row.
    """
    for budget in view.budgets:
        kept = budget.kept
        if budget.exact and kept.tokens < budget.tokens and not kept.media and kept.supervised:
            yield Found(
                Place(budget.row, view.place(budget.row, kept.first_cut)),
                f"{budget.tokens} tokens, {budget.tokens - kept.tokens} are cut, from this turn on",
                f"at most {view.run.settings.effective_cutoff} (cutoff_len)",
                f"cutoff_len {needed(view, budget.tokens)} would keep the row whole",
            )


def media_truncated(view: BatchView) -> Iterator[Found]:
    """A row longer than cutoff_len, cut in an image, a video or a sound.

    ## What it finds
    Media tokens beyond cutoff_len: which entry, in which turn, and how many are lost.

    ## Why it matters
    LLaMA-Factory 0.9.5 keeps the medium and cuts its tokens (data/processor/supervised.py). The run fails at that
    row's step, maybe hours in: "image features and image tokens do not match", "Sizes of tensors must match".

    ## Bad
    ```yaml train.yaml
    cutoff_len: 24
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A dog."}],
      "images": ["dog.jpg"]}]
    ```

    ## Good
    ```yaml train.yaml
    cutoff_len: 2048
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A dog."}],
      "images": ["dog.jpg"]}]
    ```

    ## Fix
    Raise cutoff_len to the value that the summary names, or lower image_max_pixels or video_maxlen.
    """
    yield from cut_media(view, stops=True)


def media_dropped(view: BatchView) -> Iterator[Found]:
    """A row longer than cutoff_len, of which whole image blocks are cut away.

    ## What it finds
    Under MiniCPM-V and MiniCPM-o: media tokens beyond cutoff_len, with the cut between two blocks (images, slices,
    video frames, seconds of sound), so that no block is cut inside.

    ## Why it matters
    LLaMA-Factory 0.9.5 pairs the marks that are left (data/mm_plugin.py: MiniCPMVPlugin.get_mm_inputs) and the model
    fills as many blocks as it finds (modeling_minicpmv.py: get_vllm_embedding). Nothing stops: the row teaches an
    answer, or what is left of it, about pictures that the model does not see.

    ## Bad
    ```yaml train.yaml
    template: minicpm_v
    cutoff_len: 40
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi, may I ask about a picture?"},
      {"role": "assistant", "content": "Yes, show it to me."}, {"role": "user", "content": "<image>What is it?"},
      {"role": "assistant", "content": "A cat."}], "images": ["cat.jpg"]}]
    ```

    ## Good
    ```yaml train.yaml
    template: minicpm_v
    cutoff_len: 2048
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi, may I ask about a picture?"},
      {"role": "assistant", "content": "Yes, show it to me."}, {"role": "user", "content": "<image>What is it?"},
      {"role": "assistant", "content": "A cat."}], "images": ["cat.jpg"]}]
    ```

    ## Fix
    Raise cutoff_len to the value that the summary names, or lower image_max_pixels or video_maxlen.
    """
    yield from cut_media(view, stops=False)


def cut_media(view: BatchView, stops: bool) -> Iterator[Found]:
    """Rows whose media lose tokens, and whether the trainer stops at that."""
    for budget in view.budgets:
        if not budget.exact or not budget.kept.media or budget.kept.stops is not stops:
            continue
        first = next((medium for medium in budget.kept.media if medium.stops is stops), budget.kept.media[0])
        column = view.dataset.entry.media_column(first.kind)
        others = f" and {len(budget.kept.media) - 1} more" if len(budget.kept.media) > 1 else ""
        yield Found(
            Place(budget.row, f"{column}[{first.slot}]"),
            f"{first.lost} of its {first.tokens} tokens (turn {first.turn}){others} lie beyond the limit; "
            f"the row has {budget.tokens}",
            f"at most {view.run.settings.effective_cutoff} (cutoff_len)",
            f"cutoff_len {needed(view, budget.tokens)} would keep the row whole",
        )


def nothing_supervised(view: BatchView) -> Iterator[Found]:
    """A row of which no token carries loss.

    ## What it finds
    A cutoff_len so short that the answer is cut away whole, while no media token is lost.

    ## Why it matters
    The row takes its place in a batch and teaches nothing (data/processor/supervised.py: labels are all -100).

    ## Bad
    ```yaml train.yaml
    cutoff_len: 1
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi, what is this about, in all its detail and with examples?"},
      {"role": "assistant", "content": "A cat."}]}]
    ```

    ## Good
    ```yaml train.yaml
    cutoff_len: 256
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi, what is this about, in all its detail and with examples?"},
      {"role": "assistant", "content": "A cat."}]}]
    ```

    ## Fix
    Raise cutoff_len to the value that the summary names.
    """
    for budget in view.budgets:
        if budget.exact and not budget.kept.supervised and not budget.kept.media:
            yield Found(
                Place(budget.row, view.dataset.entry.place()),
                f"none of the {budget.tokens} tokens carries loss",
                "an answer within cutoff_len",
                f"cutoff_len {needed(view, budget.tokens)} would keep the row whole",
            )


def needed(view: BatchView, tokens: int) -> int:
    """The cutoff_len at which a row of that many tokens is whole."""
    settings = view.run.settings
    return tokens + settings.slack
