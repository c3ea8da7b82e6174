"""VID: videos."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from validators.findings import Found
from validators.model import MediaKind, Outcome
from validators.probes.facts import Alteration, Health
from validators.rules.entries import altered, entries, place_of, unreadable
from validators.rules.rule import BatchView

# Plugins whose _regularize_videos reads the frame rate, and those that also divide by the duration
QWEN_PLUGINS = frozenset({"Qwen2VLPlugin", "Qwen3VLPlugin", "GLM4VPlugin", "Qwen2OmniPlugin"})
RATED_PLUGINS = QWEN_PLUGINS | {"Gemma4Plugin"}


def unreadable_video(view: BatchView) -> Iterator[Found]:
    """A video that cannot be decoded.

    ## What it finds
    A file that PyAV does not open, that gives no frame, or that ends before the length that it states and cannot be
    decoded to its end.

    ## Why it matters
    LLaMA-Factory 0.9.5 decodes every frame with PyAV (data/mm_plugin.py: _regularize_videos) and stops the whole run.
    For the Qwen-VL family the header is enough to prepare the data, and the run stops later, at the step that needs
    the frames.

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
    late = {budget.row for budget in view.budgets if budget.step_fault}
    for place, path, detail in entries(view, Health.BROKEN, MediaKind.VIDEO):
        outcome = Outcome.CRASH_STEP if place.row in late else None
        yield Found(place, f"{path}: {detail}", "a video that PyAV decodes to its end", outcome=outcome)


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


def no_duration(view: BatchView) -> Iterator[Found]:
    """A video without the times that the trainer computes with.

    ## What it finds
    A stream that states frames but no duration; for templates that compute time stamps (Qwen-VL, Qwen-Omni, GLM-4V,
    Gemma 4) also one without a frame rate, such as the cover picture of an mp3, and for those of Qwen's kind one that
    lasts 0 seconds.

    ## Why it matters
    LLaMA-Factory 0.9.5 multiplies None by the time base (data/mm_plugin.py: _get_video_sample_indices), makes a float
    of a rate that is None, or divides by a duration of 0 (Qwen2VLPlugin: _regularize_videos), and stops the whole run.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["timeless.mp4"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Write the container anew, which computes the times: ffmpeg -i IN -c copy OUT.mp4
    """
    videos = (pl.col("kind") == MediaKind.VIDEO.value) & ~pl.col("listed")
    sound = view.media.filter(videos & (pl.col("health") == Health.OK.value))
    columns = sound.select("row", "slot", "path", "frames", "duration", "fps")
    plugin = view.run.template.plugin if view.run.template is not None else ""
    for row, slot, path, frames, duration, fps in columns.iter_rows():
        place = place_of(view, row, MediaKind.VIDEO.value, slot)
        if frames and duration is None:
            yield Found(place, f"{path}: {frames} frames and no duration", "a stream with a duration")
        elif plugin in RATED_PLUGINS and fps == 0:
            yield Found(place, f"{path}: no frame rate", "a stream with a frame rate")
        elif plugin in QWEN_PLUGINS and duration == 0:
            yield Found(place, f"{path}: lasts 0 seconds", "a duration over 0", outcome=Outcome.CRASH_STEP)


def only_first_frames_used(view: BatchView) -> Iterator[Found]:
    """A long video of which the model sees the beginning only.

    ## What it finds
    A stream whose container states no frame count (Matroska, WebM, MPEG-TS, FLV, MP4 in fragments) and that has more
    frames than video_maxlen.

    ## Why it matters
    LLaMA-Factory 0.9.5 takes such a stream for endless (data/mm_plugin.py: _get_video_sample_indices): it takes the
    first video_maxlen frames, one after the other, whatever video_fps says. At 30 frames a second, 128 frames are the
    first 4 seconds.

    ## Bad
    ```yaml train.yaml
    video_maxlen: 16
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["stream.mkv"]}]
    ```

    ## Good
    ```yaml train.yaml
    video_maxlen: 16
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Put it into an MP4, which states the count: ffmpeg -i IN -c copy -movflags +faststart OUT.mp4
    """
    limit = view.run.settings.video_maxlen
    for place, path, facts in altered(view, MediaKind.VIDEO, Alteration.FIRST_FRAMES):
        yield Found(
            place,
            f"{path}: no frame count in the container, and only the first {limit} of {facts.decoded} frames are used",
            "a container that states the frame count",
        )


def rotation_ignored(view: BatchView) -> Iterator[Found]:
    """A video that lies on its side for the model.

    ## What it finds
    A stream with a display matrix that turns or mirrors the picture, as phones write it.

    ## Why it matters
    Players turn the picture. LLaMA-Factory 0.9.5 takes PyAV's frames as they are coded (data/mm_plugin.py:
    _regularize_videos), and the model learns from them turned.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["phone.mp4"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Encode it upright, which ffmpeg does by itself: ffmpeg -i IN OUT.mp4
    """
    for place, path, _ in altered(view, MediaKind.VIDEO, Alteration.ROTATED):
        yield Found(place, f"{path}: the rotation is not applied", "upright frames without a rotation")
