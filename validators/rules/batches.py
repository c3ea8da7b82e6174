"""BAT: rows that are well by themselves, and not in one batch."""

from __future__ import annotations

from collections.abc import Iterator

from validators.findings import Found
from validators.llamafactory.batches.member import BatchFault
from validators.llamafactory.batches.replay import BadBatches, BatchReplay
from validators.llamafactory.batches.words import counted
from validators.model import Outcome
from validators.rules.rule import EndView
from validators.rules.yaml_view import in_yaml
from validators.traces.words import at_row

MOST_NAMED = 8
"""Members of a batch that are named."""


def mixed_batch_stops(view: EndView) -> Iterator[Found]:
    """A batch at which the run stops, though each of its rows trains by itself.

    ## What it finds
    Rows that the collator or the model cannot take together, in a batch that the run has: MiniCPM's videos beside rows
    of text or images, and its sounds beside rows without; videos of different numbers of frames for LLaVA-NeXT-Video
    and Video-LLaVA; with use_audio_in_video, videos without sound before others for Qwen2.5-Omni; under transformers 5,
    rows without images for Llama 3.2 Vision.

    ## Why it matters
    The sampler's order follows from seed, datasets and val_size (accelerate 1.11.0, data_loader.py:
    SeedableRandomSampler), so that the step is known at which LLaMA-Factory 0.9.5 stops, after all preprocessing: for
    MiniCPM, mm_plugin.py: MiniCPMVPlugin._get_mm_inputs overwrites the images' pixel values with those of the videos.

    ## Bad
    ```yaml train.yaml
    template: minicpm_v
    model_name_or_path: model
    per_device_train_batch_size: 2
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A dog."}],
      "images": ["dog.jpg"]},
     {"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Good
    ```yaml train.yaml
    template: minicpm_v
    model_name_or_path: model
    per_device_train_batch_size: 1
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A dog."}],
      "images": ["dog.jpg"]},
     {"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Train one row a batch (gradient_accumulation_steps makes up for it), or one modality a run; for MiniCPM, `curate
    train` adds a plugin that repairs the collation.
    """
    yield from bad_batches(view, Outcome.CRASH_STEP)


def mixed_batch_learns_wrong(view: EndView) -> Iterator[Found]:
    """A batch in which rows learn from each other's pixels.

    ## What it finds
    With InternVL's plugin, a row with a video before a row with images, in a batch that the run has.

    ## Why it matters
    The pixel values of all images of a batch come before those of its videos (llamafactory 0.9.5, mm_plugin.py:
    InternVLPlugin._get_mm_inputs), and both stand in the text as the same token: the video's row is given the pixels of
    the other row's image. Their number is right, so that nothing stops and nothing is said.

    ## Bad
    ```yaml train.yaml
    template: intern_vl
    model_name_or_path: model
    per_device_train_batch_size: 2
    disable_shuffling: true
    ```
    ```json model/processor_config.json
    {"image_processor": {"image_processor_type": "GotOcr2ImageProcessorFast", "size": {"height": 448, "width": 448}},
     "image_seq_length": 4}
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]},
     {"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A dog."}],
      "images": ["dog.jpg"]}]
    ```

    ## Good
    ```yaml train.yaml
    template: intern_vl
    model_name_or_path: model
    per_device_train_batch_size: 1
    disable_shuffling: true
    ```
    ```json model/processor_config.json
    {"image_processor": {"image_processor_type": "GotOcr2ImageProcessorFast", "size": {"height": 448, "width": 448}},
     "image_seq_length": 4}
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]},
     {"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A dog."}],
      "images": ["dog.jpg"]}]
    ```

    ## Fix
    Train one row a batch, or one modality a run.
    """
    yield from bad_batches(view, Outcome.ALTERED)


def mixed_batch_possible(view: EndView) -> Iterator[Found]:
    """Rows that must not meet in a batch, in an order that is not known.

    ## What it finds
    Kinds of rows that the collator cannot take together (mixed-batch-stops), in a run whose order cannot be replayed:
    streaming, group_by_length, auto_find_batch_size, an accelerator_config, num_samples, or rows that are not read.

    ## Why it matters
    Whether, and at which step, the run stops is chance.

    ## Bad
    ```yaml train.yaml
    template: minicpm_v
    model_name_or_path: model
    per_device_train_batch_size: 2
    auto_find_batch_size: true
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A dog."}],
      "images": ["dog.jpg"]},
     {"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Good
    ```yaml train.yaml
    template: minicpm_v
    model_name_or_path: model
    per_device_train_batch_size: 1
    auto_find_batch_size: true
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A dog."}],
      "images": ["dog.jpg"]},
     {"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Train one row a batch, or one modality a run.
    """
    for replay in view.batches:
        fault = replay.possible
        if fault is None or not replay.unknown or replay.repairs(fault) or replay.bad:
            continue
        rows = " and ".join(f"a row of {member.words}" for member in replay.pair)
        found = f"{rows} could meet in a batch, whose order is not known ({replay.unknown}): {fault.words}"
        yield in_yaml(view.run, key_of(replay), found, "rows that are collated alike", cure_of(fault, replay))


def bad_batches(view: EndView, outcome: Outcome) -> Iterator[Found]:
    """One finding for each fault of that outcome, at the first row of the first batch that has it."""
    for replay in view.batches:
        for bad in replay.bad:
            if bad.fault.outcome is outcome and not replay.repairs(bad.fault):
                dataset, row = bad.first.rows[0][0]
                found, cure = words(view, replay, bad), cure_of(bad.fault, replay)
                yield at_row(view.traces, dataset, row, 0, found, "rows that are collated alike", "", cure)


def words(view: EndView, replay: BatchReplay, bad: BadBatches) -> str:
    """The first such batch with its rows, how many there are, and what the trainer does."""
    first = bad.first
    file, _ = view.traces.place(*first.rows[0][0])
    members = [
        f"{' + '.join(view.traces.words(dataset, row, file) for dataset, row in rows[:MOST_NAMED])} ({member.words})"
        for member, rows in zip(first.members[:MOST_NAMED], first.rows, strict=False)
    ]
    more = f" and {len(first.members) - MOST_NAMED} more" if len(first.members) > MOST_NAMED else ""
    return f"{', '.join(members)}{more} in one batch; {counted(bad, replay)}: {bad.fault.words}"


def key_of(replay: BatchReplay) -> str:
    """The key that sets how many rows a batch has."""
    return "per_device_eval_batch_size" if replay.evaluates else "per_device_train_batch_size"


def cure_of(fault: BatchFault, replay: BatchReplay) -> str:
    """How to get on."""
    plugin = f"; or `curate train`, which adds {fault.plugin} and trains them together" if fault.plugin else ""
    return fault.cure.replace("per_device_train_batch_size", key_of(replay)) + plugin
