"""VID: what is unusual in videos that train without a complaint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from validators.budgets.family import Crash
from validators.budgets.high_fps import sample_of
from validators.budgets.resize import decoded_frames, sampled_frames
from validators.findings import Found, Place
from validators.model import MediaKind
from validators.probes.facts import MediaFacts, Trait
from validators.rules.entries import facts_in, files_of, place_of, with_trait
from validators.rules.rule import BatchView

FEW = 0.02  # of the frames: one missing at the end is usual in AVI
CURVES = {16: "PQ", 18: "HLG"}


def sampled(view: BatchView, likely: pl.Expr) -> Iterator[tuple[Place, str, MediaFacts, int]]:
    """Place, path, facts of the likely videos that state a length, and how many frames of each the trainer samples."""
    settings = view.run.settings
    timed = pl.col("duration").is_not_null() & (pl.col("frames") > 0)
    for record in files_of(view, MediaKind.VIDEO).filter(timed & likely).iter_rows(named=True):
        facts = facts_in(record)
        packed = sample_of(facts, settings)
        try:
            upstream = decoded_frames(facts, settings.video_fps, settings.video_maxlen)
        except Crash:  # the budget names it
            continue
        count = upstream if packed is None else packed.frames(facts.decoded)
        yield place_in(view, record), record["path"] or "inside the data", facts, count


def place_in(view: BatchView, record: dict[str, Any]) -> Place:
    """The entry's place."""
    return place_of(view, record["row"], record["kind"], record["slot"])


def frame_count_belies(view: BatchView) -> Iterator[Found]:
    """A video that has fewer frames than its header states.

    ## What it finds
    A frame count in the container that decoding misses by more than one in fifty, so that samples are lost: the file
    was cut, or an edit list hides frames. What the header alone does not show is found with `--depth decode`.

    ## Why it matters
    LLaMA-Factory 0.9.5 spreads its samples over the stated count and takes what is there (data/mm_plugin.py:
    _regularize_videos): the model gets fewer frames than asked for, and none of the end.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["trimmed.mp4"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Write the video again with a true header: ffmpeg -i IN OUT.mp4
    """
    settings = view.run.settings
    for place, path, facts, count in sampled(view, pl.col("decoded") < pl.col("frames") * (1 - FEW)):
        packed = sample_of(facts, settings)
        upstream = sampled_frames(facts, settings.video_fps, settings.video_maxlen)
        wanted = upstream if packed is None else packed.frames(None)
        if count < wanted:
            yield Found(
                place,
                f"{path}: {facts.decoded} of {facts.frames} frames decode, {count} of {wanted} samples",
                "as many frames as the header states",
            )


def sampled_to_one_frame(view: BatchView) -> Iterator[Found]:
    """A video of which the model sees a single frame.

    ## What it finds
    A clip so short, or a video_fps so low, that one frame is sampled.

    ## Why it matters
    LLaMA-Factory 0.9.5 takes floor(duration × video_fps) frames, and one at least (data/mm_plugin.py:
    _get_video_sample_indices). From one frame nothing can be learnt of what moves.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["brief.mp4"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Raise video_fps, list a frame as an image, or leave the row out.
    """
    settings = view.run.settings
    few = (pl.col("frames") < 2) | (pl.col("decoded") < pl.col("frames")) | (settings.video_maxlen < 2)
    for place, path, facts, count in sampled(view, few | (pl.col("duration") * settings.video_fps < 2)):
        if count == 1:
            seconds = f"{facts.duration:g} s at video_fps {settings.video_fps:g}"
            yield Found(place, f"{path}: one frame is sampled of {seconds}", "two frames or more")


def sparse_sampling(view: BatchView) -> Iterator[Found]:
    """A long video of which video_maxlen leaves few frames.

    ## What it finds
    A time between two sampled frames that is longer than video_fps asks for, by more than the factor
    max-sampling-gap.

    ## Why it matters
    LLaMA-Factory 0.9.5 spreads video_maxlen frames over the whole (data/mm_plugin.py: _get_video_sample_indices): of
    an hour, 128 frames are one in 28 seconds, and an answer about what lies between has nothing behind it.

    ## Bad
    ```yaml train.yaml
    video_fps: 4.0
    video_maxlen: 2
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Good
    ```yaml train.yaml
    video_fps: 4.0
    video_maxlen: 12
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Cut it into clips, or raise video_maxlen and cutoff_len.
    """
    settings = view.run.settings
    gap = view.run.thresholds.max_sampling_gap / settings.video_fps if settings.video_fps > 0 else float("inf")
    for place, path, facts, count in sampled(view, pl.col("duration") > gap * settings.video_maxlen):
        if count > 1 and facts.duration is not None and count >= settings.video_maxlen:
            yield Found(
                place,
                f"{path}: {count} frames of {facts.duration:.0f} s, one in {facts.duration / count:.1f} s",
                f"one in {gap:g} s or more",
            )


def pixels_not_square(view: BatchView) -> Iterator[Found]:
    """A video that players stretch, and the trainer does not.

    ## What it finds
    A sample aspect ratio that is not 1, as DVDs, DV and many broadcasts have.

    ## Why it matters
    Players show the picture wider or narrower than it is stored. LLaMA-Factory 0.9.5 takes PyAV's frames as they are
    coded (data/mm_plugin.py: _regularize_videos), and the model sees faces and letters squeezed.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["anamorphic.mp4"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Scale to square pixels: ffmpeg -i IN -vf "scale=iw*sar:ih,setsar=1" OUT.mp4
    """
    for place, path, shape in with_trait(view, MediaKind.VIDEO, Trait.ANAMORPHIC):
        yield Found(place, f"{path}: pixels {shape:.3g} times as wide as high", "square pixels")


def uneven_frame_rate(view: BatchView) -> Iterator[Found]:
    """A video whose frames do not follow each other evenly.

    ## What it finds
    A frame that stands away from where an even rate would put it, by more of the duration than the threshold
    max-time-drift. Screen recordings and video calls are such. Of an MP4 the header tells; of others
    `--depth decode`.

    ## Why it matters
    LLaMA-Factory 0.9.5 samples evenly by frame number (data/mm_plugin.py: _get_video_sample_indices): stretches with
    many frames get most samples, and the times that Qwen's models are told are wrong.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["uneven.mp4"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Make the rate even: ffmpeg -i IN -fps_mode cfr -r 30 OUT.mp4
    """
    most = view.run.thresholds.max_time_drift
    for place, path, drift in with_trait(view, MediaKind.VIDEO, Trait.DRIFT):
        if drift > most:
            yield Found(place, f"{path}: frames up to {drift:.0%} of the duration off", "frames at an even rate")


def several_video_streams(view: BatchView) -> Iterator[Found]:
    """A container with several videos, of which the model sees the first.

    ## What it finds
    More than one video stream, cover pictures not counted: cameras' previews, screen and speaker, angles.

    ## Why it matters
    LLaMA-Factory 0.9.5 takes the first stream (data/mm_plugin.py: _regularize_videos); players take the one marked as
    default, or the largest.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["double.mkv"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Keep the one that is meant: ffmpeg -i IN -map 0:v:N -c copy OUT.mp4
    """
    for place, path, count in with_trait(view, MediaKind.VIDEO, Trait.STREAMS):
        yield Found(place, f"{path}: the first of {count:g} video streams is used", "one video stream")


def bright_range_ignored(view: BatchView) -> Iterator[Found]:
    """A video for bright screens, whose colours come out grey.

    ## What it finds
    A transfer function of PQ (HDR10, Dolby Vision) or HLG, as recent phones record.

    ## Why it matters
    Players map the range to the screen. LLaMA-Factory 0.9.5 calls PyAV's to_image (data/mm_plugin.py:
    _regularize_videos), which takes the numbers for those of an ordinary video: the picture is flat and dull.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["bright.mp4"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Map it to an ordinary range: ffmpeg -i IN -vf "zscale=t=linear,tonemap=hable,zscale=t=bt709:p=bt709:m=bt709,
    format=yuv420p" OUT.mp4
    """
    for place, path, curve in with_trait(view, MediaKind.VIDEO, Trait.HDR):
        name = CURVES.get(int(curve), f"transfer function {curve:g}")
        yield Found(place, f"{path}: {name}, which is not mapped", "an ordinary range (BT.709)")


def interlaced_video(view: BatchView) -> Iterator[Found]:
    """A video whose frames are two half pictures.

    ## What it finds
    Frames that the decoder marks as interlaced, in a share above the threshold max-interlaced-share.

    ## Why it matters
    Players weave or blend the halves. LLaMA-Factory 0.9.5 takes the frames as they are (data/mm_plugin.py:
    _regularize_videos): what moves has combs at its edges.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["woven.mp4"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Blend the halves: ffmpeg -i IN -vf yadif OUT.mp4
    """
    most = view.run.thresholds.max_interlaced_share
    for place, path, share in with_trait(view, MediaKind.VIDEO, Trait.INTERLACED):
        if share > most:
            yield Found(place, f"{path}: {share:.0%} of its frames are interlaced", "whole frames")


def blank_video(view: BatchView) -> Iterator[Found]:
    """A video of one flat colour.

    ## What it finds
    All frames that are compared, 64 over the whole, are flat and of one colour.

    ## Why it matters
    A black screen, a failed recording or rendering: the answer describes what is not there, which teaches the model to
    make things up.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["black.mp4"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Record or render it again, or leave the row out.
    """
    for place, path, _ in with_trait(view, MediaKind.VIDEO, Trait.BLANK):
        yield Found(place, f"{path}: one flat colour from start to end", "a video of something")


def frozen_video(view: BatchView) -> Iterator[Found]:
    """A video in which nothing moves.

    ## What it finds
    All frames that are compared, 64 over the whole, are alike, within what compression changes.

    ## Why it matters
    A hung stream, or a picture saved as a video: hundreds of tokens for one image, and nothing to learn of time.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["frozen.mp4"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Record it again, or list a frame as an image.
    """
    for place, path, _ in with_trait(view, MediaKind.VIDEO, Trait.FROZEN):
        yield Found(place, f"{path}: all frames are alike", "frames that differ")


def damaged_frames(view: BatchView) -> Iterator[Found]:
    """A video with frames that the decoder made up.

    ## What it finds
    An error in the stream that FFmpeg reports with err_detect=explode and smooths over without it.

    ## Why it matters
    LLaMA-Factory 0.9.5 decodes without it (data/mm_plugin.py: _regularize_videos), and trains on smears, grey blocks
    and repeated frames until the next key frame.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["smeared.mp4"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Fetch the file again, or cut it before the damage: ffmpeg -i IN -to SECONDS OUT.mp4
    """
    for place, path, number in with_trait(view, MediaKind.VIDEO, Trait.DAMAGED):
        yield Found(place, f"{path}: the decoder meets an error after {number:g} frames", "a stream without errors")
