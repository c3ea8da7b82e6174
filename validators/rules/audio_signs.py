"""AUD: what is unusual in sounds that train without a complaint."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from validators.budgets.families import heard_seconds
from validators.findings import Found
from validators.model import MediaKind
from validators.probes.facts import Trait
from validators.rules.entries import files_of, place_of, with_trait
from validators.rules.rule import BatchView


def samples_not_finite(view: BatchView) -> Iterator[Found]:
    """A sound with samples that are no numbers.

    ## What it finds
    NaN or infinity among the samples of a file of floats.

    ## Why it matters
    LLaMA-Factory 0.9.5 hands the samples on as they are (data/mm_plugin.py: _regularize_audios). One NaN makes the
    whole spectrogram NaN, then the loss, then every weight.

    ## Bad
    ```yaml train.yaml
    template: minicpm_o
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<audio>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "audios": ["broken.wav"]}]
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
    Write it again from a sound source, or set such samples to 0.
    """
    for place, path, count in with_trait(view, MediaKind.AUDIO, Trait.NOT_FINITE):
        yield Found(place, f"{path}: NaN or infinity in {count:g} of its samples", "finite samples")


def shorter_than_stated(view: BatchView) -> Iterator[Found]:
    """A sound that ends before its header says.

    ## What it finds
    A WAV, MP3, AU, FLAC, AIFF or MP4 of which decoding gives clearly less than the stated length.

    ## Why it matters
    An interrupted download or copy. FFmpeg gives no error, and LLaMA-Factory 0.9.5 trains on the beginning
    (data/mm_plugin.py: _regularize_audios) with an answer to the whole.

    ## Bad
    ```yaml train.yaml
    template: minicpm_o
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<audio>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "audios": ["cut.mp3"]}]
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
    for place, path, stated in with_trait(view, MediaKind.AUDIO, Trait.SHORTENED):
        yield Found(place, f"{path}: the header states {stated:.1f} s, and less can be decoded", "the whole sound")


def longer_than_heard(view: BatchView) -> Iterator[Found]:
    """A sound that goes on after the model has stopped listening.

    ## What it finds
    A sound longer than the feature extractor's window: its chunk_length, 30 s for Qwen2-Audio and 300 s for
    Qwen2.5-Omni, as the model's files say.

    ## Why it matters
    LLaMA-Factory 0.9.5 calls the extractor with its defaults for Qwen2-Audio and the Qwen-Omni models
    (data/mm_plugin.py: _get_mm_inputs), which cut at the window without a word (transformers 5.6.0,
    models/whisper/feature_extraction_whisper.py: truncation=True).

    ## Bad
    ```yaml train.yaml
    template: qwen2_audio
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<audio>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "audios": ["lecture.flac"]}]
    ```

    ## Good
    ```yaml train.yaml
    template: qwen2_audio
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<audio>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "audios": ["tone.wav"]}]
    ```

    ## Fix
    Cut it into pieces that fit, each with its part of the answer.
    """
    window = heard_seconds(view.run.template, view.run.settings)
    if window is None:
        return
    long = files_of(view, MediaKind.AUDIO).filter(pl.col("duration") > window)
    for row, slot, path, seconds in long.select("row", "slot", "path", "duration").iter_rows():
        place = place_of(view, row, MediaKind.AUDIO.value, slot)
        yield Found(place, f"{path}: {seconds:.1f} s, of which {window:g} s are heard", f"{window:g} s or less")


def sound_too_short(view: BatchView) -> Iterator[Found]:
    """A sound too short to be understood.

    ## What it finds
    A length below the threshold min-sound-seconds.

    ## Why it matters
    A syllable takes a tenth of a second, and a token of most models 40 ms. Such files are mostly failed cuts.

    ## Bad
    ```yaml train.yaml
    template: minicpm_o
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<audio>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "audios": ["blip.wav"]}]
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
    Cut it again, or leave the row out.
    """
    least = view.run.thresholds.min_sound_seconds
    short = files_of(view, MediaKind.AUDIO).filter(pl.col("duration") < least)
    for row, slot, path, seconds in short.select("row", "slot", "path", "duration").iter_rows():
        place = place_of(view, row, MediaKind.AUDIO.value, slot)
        yield Found(place, f"{path}: {seconds:.3f} s", f"{least:g} s or more")


def low_sample_rate(view: BatchView) -> Iterator[Found]:
    """A sound with less in it than the model listens for.

    ## What it finds
    A rate below audio_sampling_rate, such as the 8 kHz of telephones.

    ## Why it matters
    LLaMA-Factory 0.9.5 resamples it to audio_sampling_rate, 16 kHz by default (data/mm_plugin.py: _regularize_audios),
    which brings nothing back: the upper half of the spectrum is empty, and s, f and th sound alike.

    ## Bad
    ```yaml train.yaml
    template: minicpm_o
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<audio>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "audios": ["phone.wav"]}]
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
    Use the original recording where there is one.
    """
    target = view.run.settings.audio_sampling_rate
    low = files_of(view, MediaKind.AUDIO).filter((pl.col("rate") > 0) & (pl.col("rate") < target))
    for row, slot, path, rate in low.select("row", "slot", "path", "rate").iter_rows():
        place = place_of(view, row, MediaKind.AUDIO.value, slot)
        yield Found(place, f"{path}: {rate} samples a second", f"{target} or more")


def silent_sound(view: BatchView) -> Iterator[Found]:
    """A sound in which there is nothing to hear.

    ## What it finds
    A root mean square over the whole below the threshold silence, in dB below full scale.

    ## Why it matters
    A muted microphone or an empty track: the answer tells what was not said, which teaches the model to make things
    up.

    ## Bad
    ```yaml train.yaml
    template: minicpm_o
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<audio>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "audios": ["silent.wav"]}]
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
    Record it again, or leave the row out.
    """
    limit = view.run.thresholds.silence
    for place, path, loudness in with_trait(view, MediaKind.AUDIO, Trait.LOUDNESS):
        if loudness < limit:
            yield Found(place, f"{path}: {max(loudness, -200):.0f} dB of full scale", f"{limit:g} dB or louder")


def clipped_sound(view: BatchView) -> Iterator[Found]:
    """A sound that was recorded too loud.

    ## What it finds
    Samples at full scale, in a share above the threshold max-clipped-share.

    ## Why it matters
    What is cut off at full scale is distorted, and speech recognition suffers from it. Nothing brings it back.

    ## Bad
    ```yaml train.yaml
    template: minicpm_o
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<audio>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "audios": ["clipped.wav"]}]
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
    Record it again with a lower level.
    """
    most = view.run.thresholds.max_clipped_share
    for place, path, share in with_trait(view, MediaKind.AUDIO, Trait.CLIPPED):
        if share > most:
            yield Found(place, f"{path}: {share:.1%} of the samples at full scale", f"{most:.1%} or less")


def channels_cancel(view: BatchView) -> Iterator[Found]:
    """A stereo sound whose channels cancel each other.

    ## What it finds
    A mean of the channels that is softer than the channels by more than the threshold max-cancellation, in dB.

    ## Why it matters
    LLaMA-Factory 0.9.5 averages the channels (data/mm_plugin.py: _regularize_audios). Where one is the other upside
    down, as a wrongly wired microphone records it, people hear the sound and the model hears silence.

    ## Bad
    ```yaml train.yaml
    template: minicpm_o
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<audio>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "audios": ["opposite.wav"]}]
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
    Keep one channel: ffmpeg -i IN -af "pan=mono|c0=c0" OUT.wav
    """
    most = view.run.thresholds.max_cancellation
    for place, path, lost in with_trait(view, MediaKind.AUDIO, Trait.CANCELLED):
        if lost > most:
            yield Found(
                place, f"{path}: {min(lost, 200):.0f} dB are lost in the mean of the channels", "channels in phase"
            )
