"""Audio headers: the sample count that torchaudio would decode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from validators.probes.facts import Health, MediaFacts

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer


def probe_audio(path: Path) -> MediaFacts:
    import av

    try:
        with av.open(str(path)) as container:
            stream = container.streams.best("audio")
            if stream is None:
                return MediaFacts(Health.NO_STREAM, "no audio stream")
            rate=stream.rate
            samples = heard_samples(container, stream)
    except (av.FFmpegError, OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return MediaFacts(Health.UNREADABLE, str(reason))
    if samples is None:
        return MediaFacts(Health.UNREADABLE, "no sound can be decoded")
    return MediaFacts(Health.OK, rate=rate, samples=samples, duration=samples / rate)


def heard_samples(container, stream):
    rate = stream.rate
    total, first = 0, None
    for frame in container.decode(stream):
        start = frame.pts if frame.pts is not None else frame.dts
        if start is None or start + (frame.duration or 0) <= 0:
            continue
        if first is None:
            first = float(start * stream.time_base)
        total += frame.samples
    if first is None:
        return None
    if first < 0:
        total -= round(-first * rate)
    return total
