"""A sound as most encoders of speech and sound take it: 16 kHz, one channel, 16 bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from curate.media.make.containers import read
from curate.media.make.refusal import CannotMake

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE = 16_000
MAX_SAMPLES = SAMPLE_RATE * 3600 * 12


def save_mono(source: Path, target: Path) -> None:
    """Write the first sound as a WAV; CannotMake where there is none, or no end to it."""
    import numpy as np
    import soundfile

    total = 0
    with soundfile.SoundFile(target, "w", SAMPLE_RATE, 1, "PCM_16", format="WAV") as out:
        for samples in resampled(source):
            total += len(samples)
            if total > MAX_SAMPLES:
                raise CannotMake(f"longer than {MAX_SAMPLES // SAMPLE_RATE // 3600} hours")
            out.write(np.ascontiguousarray(samples))
    if not total:
        raise CannotMake("no sound in it")


def is_mono(source: Path) -> bool:
    """Whether a file is such a WAV already."""
    import soundfile

    try:
        facts = soundfile.info(str(source))
    except soundfile.LibsndfileError:
        return False
    return (facts.format, facts.subtype, facts.samplerate, facts.channels) == ("WAV", "PCM_16", SAMPLE_RATE, 1)


def resampled(source: Path) -> Iterator[NDArray[np.generic]]:
    """The first sound's samples as numbers of 16 bits, a piece at a time."""
    import av

    with read(source) as container:
        if not container.streams.audio:
            raise CannotMake("no sound in it")
        resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
        for frame in container.decode(container.streams.audio[0]):
            for piece in resampler.resample(frame):
                yield piece.to_ndarray()[0]
        for piece in resampler.resample(None):
            yield piece.to_ndarray()[0]
