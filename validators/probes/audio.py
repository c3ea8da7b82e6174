"""Audio headers: the sample count that torchaudio would decode."""

from __future__ import annotations

from pathlib import Path

from validators.probes.facts import Health, MediaFacts
from validators.probes.video import is_cut

# uncompressed: the header states the exact length; compressed formats are decoded, as their headers only promise
EXACT_FORMATS = ("WAV", "WAVEX", "AIFF", "AU", "RF64", "W64")


def probe_audio(path: Path) -> MediaFacts:
    """Sample rate and samples a channel of an audio file (or of a video's sound), or why it cannot be read."""
    import soundfile

    try:
        info = soundfile.info(str(path))
    except soundfile.SoundFileError:
        return decoded_audio(path)  # not libsndfile's formats (m4a, aac, webm …): FFmpeg's, as in torchcodec
    if info.format in EXACT_FORMATS and not is_cut(path):
        return MediaFacts(Health.OK, rate=info.samplerate, samples=info.frames, duration=info.frames / info.samplerate)
    return decoded_audio(path)


def decoded_audio(path: Path) -> MediaFacts:
    """Count samples by decoding through FFmpeg (PyAV), the library family that torchcodec decodes with."""
    import av

    try:
        with av.open(str(path)) as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None:
                return MediaFacts(Health.NO_STREAM, "no audio stream")
            samples = sum(frame.samples for frame in container.decode(stream))
            rate = stream.rate
    except (av.FFmpegError, OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return MediaFacts(Health.UNREADABLE, str(reason))
    if samples == 0:
        return MediaFacts(Health.UNREADABLE, "no sound can be decoded")
    return MediaFacts(Health.OK, rate=rate, samples=samples, duration=samples / rate)
