"""MED: the files behind the entries, of whatever kind."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from validators.budgets.family import Why
from validators.findings import Found, Place
from validators.probes.facts import Health
from validators.rules.entries import place_of
from validators.rules.paths import missing
from validators.rules.rule import BatchView
from validators.sources.batch import Shape


def missing_media_file(view: BatchView) -> Iterator[Found]:
    """A media file that is not there.

    ## What it finds
    A path that is no file under the media root, nor from the working folder. Addresses, paths with backslashes and
    names in other letters have rules of their own.

    ## Why it matters
    LLaMA-Factory 0.9.5 warns once, keeps the path as written (data/converter.py: _find_medias) and stops the whole
    run when it opens it.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cta.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Correct the path, or set media_dir to the folder that the paths start from.
    """
    for absent in missing(view):
        if absent.plain:
            yield absent.found(
                f"{absent.path} not found", f"a file at {absent.detail}", "correct the path or set media_dir"
            )


def media_entry_not_a_path(view: BatchView) -> Iterator[Found]:
    """A media entry that is not a path.

    ## What it finds
    null, a number or an object in a list of media.

    ## Why it matters
    LLaMA-Factory 0.9.5 ends with a TypeError when it joins the entry to media_dir (data/converter.py: _find_medias),
    or the loader cannot make a table.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image><image>Same?"}, {"role": "assistant", "content": "Yes."}],
      "images": ["cat.jpg", null]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Write the path of the file.
    """
    for fault in view.faults(Shape.MEDIA_NOT_PATH):
        yield Found(Place(fault.row, fault.place), fault.found, "a path")


def media_outside_root(view: BatchView) -> Iterator[Found]:
    """A path that leaves the media root.

    ## What it finds
    An absolute path, one with enough `..`, or a link, that ends outside the media root.

    ## Why it matters
    LLaMA-Factory 0.9.5 opens whatever the path names. The dataset works on this machine only, and data from others
    can point at any file of yours.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["../outside.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Move the file under the media root and write its path from there.
    """
    outside = view.media.filter(pl.col("outside"))
    for row, kind, slot, path in outside.select("row", "kind", "slot", "path").iter_rows():
        yield Found(
            place_of(view, row, kind, slot),
            f"{path} leads outside the media root",
            str(view.dataset.media_dir),
        )


def media_not_expandable(view: BatchView) -> Iterator[Found]:
    """Media that the template's plugin cannot expand.

    ## What it finds
    A combination or a place of media at which the plugin or the processor stops, such as a video in a later turn
    under Qwen3-VL, whose plugin looks its times up by the number of the message.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops the whole run in preprocessing (data/mm_plugin.py: process_messages), without the row's
    number.

    ## Bad
    ```yaml train.yaml
    template: minicpm_v
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What does {{image}} stand for?"},
      {"role": "assistant", "content": "A place."}], "images": ["cat.jpg"]}]
    ```

    ## Good
    ```yaml train.yaml
    template: minicpm_v
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Change the row as the message says.
    """
    for budget in view.budgets:
        if budget.error and budget.why is Why.OTHER:
            yield Found(Place(budget.row, "messages"), budget.error, "media that the plugin expands")


def media_failing_at_step(view: BatchView) -> Iterator[Found]:
    """Media with which a row is prepared well and stops at its step.

    ## What it finds
    Under Qwen2-VL, Qwen2.5-VL and Qwen3-VL: a video that is counted by its header and gives another number of frames
    when it is decoded, such as an mpegts stream without a frame count that is shorter than video_maxlen. Under
    Qwen2-Audio and Qwen2.5-Omni: sounds that are too short for a token.

    ## Why it matters
    LLaMA-Factory 0.9.5 prepares videos of these models from the header alone (data/mm_plugin.py:
    Qwen2VLPlugin._get_qwen_video_grid_metadata) and decodes at the row's step: "Video features and video tokens do
    not match", hundreds of steps in.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["stream.ts"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Write the video again with a true header: ffmpeg -i IN -c copy OUT.mp4
    """
    broken = set(view.media.filter(pl.col("health") == Health.BROKEN.value)["row"])
    for budget in view.budgets:
        if budget.step_fault and budget.row not in broken:
            yield Found(Place(budget.row, "messages"), budget.step_fault, "media that the step takes as counted")
