"""The outline of a sound: the lowest and highest sample of each of PARTS equal parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from validators.model import MediaKind
from validators.previews.image import NoPreview
from validators.probes.opening import endangers, opened_file
from validators.report.shown import Preview

if TYPE_CHECKING:
    import numpy as np

    Samples = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

PARTS = 120
BLOCK = 1024  # samples
MOST_SECONDS = 600


def preview_audio(file: BinaryIO) -> Preview:
    """Peaks by libsndfile, else by PyAV; raises NoPreview or their errors."""
    import soundfile

    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError:
        file.seek(0)
        return by_pyav(file)
    with sound:
        return outline(by_soundfile(sound), sound.samplerate)


def by_pyav(file: BinaryIO) -> Preview:
    """Peaks of the first audio stream."""
    import av

    if endangers(file):
        raise NoPreview("a still picture in place of a sound")
    result = None
    with opened_file(file) as container:
        stream = next(iter(container.streams.audio), None)
        if stream is not None:
            resampler = av.AudioResampler(format="flt", layout="mono")
            blocks = (
                piece.to_ndarray().reshape(-1).astype("float32")
                for frame in container.decode(stream)
                for piece in resampler.resample(frame)
            )
            result = outline(blocks, stream.rate)
    if result is None:
        raise NoPreview("no audio stream")
    return result


def by_soundfile(sound: object) -> Iterator[Samples]:
    """The mean of all channels, block by block."""
    while len(block := sound.read(BLOCK * 64, dtype="float32", always_2d=True)):  # type: ignore[attr-defined]
        yield block.mean(axis=1)


def outline(blocks: Iterator[Samples], rate: int) -> Preview:
    """Peaks of at most MOST_SECONDS of sound; memory for two numbers of each BLOCK."""
    import numpy as np

    low: list[float] = []
    high: list[float] = []
    passed, cut = 0, False
    for block in blocks:
        for at in range(0, len(block), BLOCK):
            piece = block[at : at + BLOCK]
            low.append(float(piece.min()))
            high.append(float(piece.max()))
        passed += len(block)
        if passed >= rate * MOST_SECONDS:
            cut = True
            break
    if not low:
        raise NoPreview("no sound in it")
    lows = [part.min() for part in np.array_split(np.nan_to_num(low), min(PARTS, len(low)))]
    highs = [part.max() for part in np.array_split(np.nan_to_num(high), min(PARTS, len(high)))]
    loudest = max(*map(abs, lows), *map(abs, highs), 1e-9)
    scale = 100 / max(loudest, 0.05)  # silence stays flat, quiet sound is made visible
    peaks = tuple((round(float(a) * scale), round(float(b) * scale)) for a, b in zip(lows, highs, strict=True))
    return Preview(MediaKind.AUDIO, peaks=peaks, note=f"the first {MOST_SECONDS // 60} minutes" if cut else "")
