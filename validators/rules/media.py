"""MED, IMG, VID, AUD: the files behind the entries."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from validators.findings import Found, Place
from validators.model import MediaKind
from validators.probes.facts import Health
from validators.rules.rule import BatchView, DatasetView
from validators.sources.batch import Shape


def missing_media_file(view: BatchView) -> Iterator[Found]:
    """A media file that is not there.

    ## What it finds
    A path that is no file under the media root, nor from the working folder.

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
    for place, path, detail in entries(view, Health.MISSING):
        yield Found(place, f"{path} not found", f"a file at {detail}", "correct the path or set media_dir")


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


def unreadable_image(view: BatchView) -> Iterator[Found]:
    """An image that cannot be decoded.

    ## What it finds
    A file that Pillow does not open, or that ends before its picture does.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops the whole run in preprocessing (data/mm_plugin.py: _regularize_images), without the
    file's name: "image file is truncated", "cannot identify image file".

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cut.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Fetch the file again, or leave the row out.
    """
    yield from unreadable(view, MediaKind.IMAGE, "an image that Pillow decodes")


def image_resized_to_nothing(view: BatchView) -> Iterator[Found]:
    """An image so slim that the trainer's resize leaves no pixel.

    ## What it finds
    A width or height that becomes 0 under image_max_pixels, or a ratio of sides that the processor refuses.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops the whole run with "height and width must be > 0" (data/mm_plugin.py:
    _preprocess_image).

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A line."}],
      "images": ["sliver.png"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Crop or split the image.
    """
    for budget in view.budgets:
        if budget.error:
            yield Found(Place(budget.row, "images"), budget.error, "sides that stay above 0 pixels")


def unreadable_video(view: BatchView) -> Iterator[Found]:
    """A video that cannot be decoded.

    ## What it finds
    A file that PyAV does not open, that gives no frame, or that ends before the length that it states and cannot be
    decoded to its end.

    ## Why it matters
    LLaMA-Factory 0.9.5 decodes every frame with PyAV (data/mm_plugin.py: _regularize_videos) and stops the whole run.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["cut.mp4"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Fetch the file again, or rewrite what is left of it: ffmpeg -fflags +discardcorrupt -i IN -c copy OUT.mp4
    """
    yield from unreadable(view, MediaKind.VIDEO, "a video that PyAV decodes to its end")


def no_video_stream(view: BatchView) -> Iterator[Found]:
    """A file listed as a video that holds no pictures.

    ## What it finds
    A container without a video stream, such as an mp4 with sound only.

    ## Why it matters
    LLaMA-Factory 0.9.5 ends with a bare StopIteration (data/mm_plugin.py: _regularize_videos).

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "videos": ["sound.mp4"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    List it under audios with an <audio> tag, or leave the row out.
    """
    for place, path, detail in entries(view, Health.NO_STREAM, MediaKind.VIDEO):
        yield Found(place, f"{path}: {detail}", "a video stream")


def unreadable_audio(view: BatchView) -> Iterator[Found]:
    """A sound that cannot be decoded.

    ## What it finds
    A file without an audio stream, or one that FFmpeg's libraries do not decode to its end.

    ## Why it matters
    LLaMA-Factory 0.9.5 reads it with torchaudio.load (data/mm_plugin.py: _regularize_audios) and stops the whole run.

    ## Bad
    ```yaml train.yaml
    template: minicpm_o
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<audio>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "audios": ["empty.wav"]}]
    ```

    ## Good
    ```yaml train.yaml
    template: minicpm_o
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<audio>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "audios": ["tone.wav"]}]
    ```

    ## Fix
    Fetch the file again, or leave the row out.
    """
    yield from unreadable(view, MediaKind.AUDIO, "sound that FFmpeg decodes to its end")
    for place, path, detail in entries(view, Health.NO_STREAM, MediaKind.AUDIO):
        yield Found(place, f"{path}: {detail}", "an audio stream")


def audio_decoder_missing(view: DatasetView) -> Iterator[Found]:
    """Rows with sound, and a trainer that cannot decode any.

    ## What it finds
    A torchaudio of 2.9 or newer is installed here without torchcodec, or without FFmpeg's shared libraries.

    ## Why it matters
    torchaudio.load then fails for each file ("Could not load libtorchcodec"), and LLaMA-Factory 0.9.5 stops at the
    first row with sound.

    ## Bad
    ```text environment
    torchaudio 2.11.0, torchcodec 0.11.1, no libavutil
    ```
    ```yaml train.yaml
    template: minicpm_o
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<audio>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "audios": ["tone.wav"]}]
    ```

    ## Good
    ```text environment
    torchaudio 2.11.0, torchcodec 0.11.1, libavutil.so.59
    ```
    ```yaml train.yaml
    template: minicpm_o
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<audio>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "audios": ["tone.wav"]}]
    ```

    ## Fix
    Install torchcodec of the version that fits torch, and FFmpeg (Debian: apt-get install ffmpeg).
    """
    column = view.dataset.entry.media_column(MediaKind.AUDIO)
    rows = view.census.media[str(column)] if column is not None else 0
    if view.run.audio_fault and rows:
        yield Found(Place(), f"{rows} rows with sound, and {view.run.audio_fault}", "a trainer that decodes sound")


def unreadable(view: BatchView, kind: MediaKind, expected: str) -> Iterator[Found]:
    """One finding an unreadable entry of that kind."""
    for place, path, detail in entries(view, Health.UNREADABLE, kind):
        yield Found(place, f"{path}: {detail}", expected)


def entries(view: BatchView, health: Health, only: MediaKind | None = None) -> Iterator[tuple[Place, str, str]]:
    """Place, path and detail of the entries in that state of health."""
    chosen = view.media.filter(pl.col("health") == health.value)
    if only is not None:
        chosen = chosen.filter(pl.col("kind") == only.value)
    for row, kind, slot, path, detail in chosen.select("row", "kind", "slot", "path", "detail").iter_rows():
        yield place_of(view, row, kind, slot), path, detail


def place_of(view: BatchView, row: int, kind: str, slot: int) -> Place:
    """`images[0]`, by the data's own column name."""
    return Place(row, f"{view.dataset.entry.media_column(MediaKind(kind))}[{slot}]")
