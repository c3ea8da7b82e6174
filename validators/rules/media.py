"""MED, IMG, VID, AUD: the files behind the entries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from validators.budgets.families import OPENED_AT_STEP
from validators.budgets.family import Why
from validators.findings import Found, Place
from validators.model import MediaKind, Outcome
from validators.probes.facts import Alteration, Health, MediaFacts, alterations, facts_schema
from validators.rules.rule import BatchView, DatasetView
from validators.sources.batch import Shape

# Plugins whose _regularize_videos reads the frame rate, and those that also divide by the duration
QWEN_PLUGINS = frozenset({"Qwen2VLPlugin", "Qwen3VLPlugin", "GLM4VPlugin", "Qwen2OmniPlugin"})
RATED_PLUGINS = QWEN_PLUGINS | {"Gemma4Plugin"}


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
    late = when_opened(view)
    for place, path, detail in entries(view, Health.MISSING):
        yield Found(place, f"{path} not found", f"a file at {detail}", "correct the path or set media_dir", late)


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
        if budget.error and budget.why is Why.SIZE:
            yield Found(Place(budget.row, "images"), budget.error, "sides that stay above 0 pixels")


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


def exif_rotation_ignored(view: BatchView) -> Iterator[Found]:
    """A picture that lies on its side for the model.

    ## What it finds
    An image whose EXIF or XMP orientation is not 1, in any format but TIFF, which Pillow turns by itself.

    ## Why it matters
    Viewers turn the picture as the camera says. LLaMA-Factory 0.9.5 opens it with Pillow and never calls
    exif_transpose (data/mm_plugin.py: _regularize_images): the model learns from it turned or mirrored, and texts and
    positions in the answer do not fit what it sees.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["turned.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Turn the pixels and drop the tag: PIL.ImageOps.exif_transpose, or `exiftran -ai`, or `magick IN -auto-orient OUT`.
    """
    for place, path, _ in altered(view, MediaKind.IMAGE, Alteration.ROTATED):
        yield Found(place, f"{path}: the orientation tag is not applied", "an upright picture without the tag")


def alpha_dropped(view: BatchView) -> Iterator[Found]:
    """A picture whose transparency uncovers what it hid.

    ## What it finds
    An image with pixels that are not opaque and that, over a white page, look different from their bare colour. Where
    only the trainer's resize makes them differ, the image is named only if its size lies outside the limits.

    ## Why it matters
    LLaMA-Factory 0.9.5 converts to RGB, which drops the transparency (data/mm_plugin.py: _preprocess_image): the
    clear background of a logo or a formula becomes whatever colour lies under it, mostly black, and black text
    disappears in it.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["clear.png"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Paste it on the background that it is meant for: PIL.Image.alpha_composite over white, or
    `magick IN -background white -flatten OUT`.
    """
    for place, path, _ in altered(view, MediaKind.IMAGE, Alteration.ALPHA):
        yield Found(place, f"{path}: transparent pixels show their hidden colour", "an opaque picture")


def high_bit_depth_clipped(view: BatchView) -> Iterator[Found]:
    """A picture with more than 8 bits a pixel, of which most turns white or black.

    ## What it finds
    A grey image of 16 or 32 bits or of floats with values that the conversion to RGB cuts. Colour images of 16 bits
    are scaled by Pillow and lose nothing that is seen.

    ## Why it matters
    LLaMA-Factory 0.9.5 calls convert("RGB") (data/mm_plugin.py: _preprocess_image), with which Pillow clips at 255
    instead of scaling: an X-ray or a depth map becomes a white field, floats from 0 to 1 a black one.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["deep.png"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Scale it to 8 bits with the window that a person would choose, and save that.
    """
    for place, path, _ in altered(view, MediaKind.IMAGE, Alteration.DEPTH):
        yield Found(place, f"{path}: values of more than 8 bits are clipped", "8 bits a channel")


def only_first_frame_used(view: BatchView) -> Iterator[Found]:
    """A picture that moves, or has pages, of which the model sees the first.

    ## What it finds
    An animated GIF, WebP, PNG or AVIF, or a TIFF of several pages, listed as an image. Smaller copies inside a TIFF,
    the second picture of an MPO and the sizes of an icon do not count: viewers show the first of them, too.

    ## Why it matters
    LLaMA-Factory 0.9.5 reads the first frame (data/mm_plugin.py: _regularize_images). An answer about what happens
    later, or about page 2, has nothing behind it.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["moving.gif"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    List it under videos with a <video> tag, or save the pages or frames as images of their own.
    """
    for place, path, _ in altered(view, MediaKind.IMAGE, Alteration.FIRST_FRAME):
        yield Found(place, f"{path}: only the first of several frames is read", "an image of one frame")


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


def altered(view: BatchView, kind: MediaKind, what: Alteration) -> Iterator[tuple[Place, str, MediaFacts]]:
    """Place, path and facts of the entries of that kind that the trainer alters in that way.

    Videos that are given as lists of pictures count among the pictures.
    """
    pictures = kind is MediaKind.IMAGE
    listed = (pl.col("kind") == MediaKind.VIDEO.value) & pl.col("listed")
    likely = view.media.filter(
        ((pl.col("kind") == kind.value) | listed if pictures else (pl.col("kind") == kind.value) & ~pl.col("listed"))
        & (pl.col("health") == Health.OK.value)
        & ((pl.col("altered") != "") | ((pl.col("frames") == 0) & (pl.col("decoded") > 0)))
    )
    for record in likely.iter_rows(named=True):
        facts = facts_in(record)
        if what in alterations(facts, view.run.settings):
            path = record["path"] or "a frame of the list"
            yield place_of(view, record["row"], record["kind"], record["slot"]), path, facts


def facts_in(record: dict[str, Any]) -> MediaFacts:
    """The facts of a healthy file, back from its columns."""
    return MediaFacts(**{name: record[name] for name in facts_schema().names()} | {"health": Health.OK})


def unreadable(view: BatchView, kind: MediaKind, expected: str) -> Iterator[Found]:
    """One finding an unreadable entry of that kind."""
    for place, path, detail in entries(view, Health.UNREADABLE, kind):
        yield Found(place, f"{path}: {detail}", expected, outcome=when_opened(view))


def when_opened(view: BatchView) -> Outcome | None:
    """Where a file that cannot be opened stops the trainer: at its step, where the plugin does not look at it before;
    None for the usual place."""
    template = view.run.template
    return Outcome.CRASH_STEP if template is not None and template.plugin in OPENED_AT_STEP else None


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
