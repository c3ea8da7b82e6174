"""AUD: sounds, and the means to decode them."""

from __future__ import annotations

from collections.abc import Iterator

from validators.findings import Found, Place
from validators.model import MediaKind
from validators.probes.facts import Health
from validators.rules.entries import entries, unreadable
from validators.rules.rule import BatchView, DatasetView


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
