"""Sound files of every kind that users have, of random lengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np

Rng = np.random.Generator
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000)
PLAIN = {
    "wav": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM"),
    "wavex": ("PCM_16", "PCM_24", "FLOAT"),
    "rf64": ("PCM_16",),
    "w64": ("PCM_16",),
    "aiff": ("PCM_16", "PCM_24"),
    "au": ("PCM_16",),
    "caf": ("PCM_16",),
    "flac": ("PCM_16", "PCM_24"),
    "ogg": ("VORBIS", "OPUS"),
    "mp3": ("MPEG_LAYER_III",),
}
CODED = {
    "mp3": ("libmp3lame",),
    "m4a": ("aac", "alac"),
    "mp4": ("aac", "libmp3lame"),
    "mov": ("pcm_s16le", "aac"),
    "mkv": ("libopus", "aac", "libmp3lame", "pcm_s16le"),
    "mka": ("libvorbis", "flac"),
    "webm": ("libopus", "libvorbis"),
    "ts": ("aac", "mp2"),
    "aac": ("aac",),
    "avi": ("libmp3lame", "pcm_s16le"),
    "opus": ("libopus",),
    "ogg": ("libvorbis", "flac"),
    "flv": ("libmp3lame", "aac"),
    "ac3": ("ac3",),
    "wv": ("wavpack",),
}


def noise(rng: Rng, samples: int, channels: int) -> np.ndarray:
    """Samples x channels of quiet noise."""
    return (rng.standard_normal((samples, channels)) * 0.1).astype(np.float32)


def write_plain(path: Path, rng: Rng, kind: str, subtype: str, rate: int, channels: int) -> bool:
    """A file by libsndfile; False where it has no such format."""
    import soundfile

    if kind == "mp3" and channels > 2:
        return False
    if not soundfile.check_format(kind.upper(), subtype):
        return False
    try:
        samples = int(rng.integers(1, rate))
        soundfile.write(path, noise(rng, samples, channels), rate, subtype=subtype, format=kind.upper())
    except soundfile.SoundFileError:
        return False
    return True


def write_coded(path: Path, rng: Rng, codec: str, rate: int, channels: int, samples: int | None = None) -> bool:
    """A file by FFmpeg, its container from the name's end; False where the codec has no such rate or layout."""
    import av

    layout = LAYOUTS[channels]
    count = samples or int(rng.integers(1, rate))
    try:
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate, layout=layout)
            stream.codec_context.open()
            resampler = av.AudioResampler(
                format=stream.format, layout=layout, rate=rate, frame_size=stream.codec_context.frame_size or None
            )
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(noise(rng, count, channels).T), format="fltp", layout=layout
            )
            frame.sample_rate, frame.pts = rate, 0
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))
    except (av.FFmpegError, ValueError):
        return False
    return True
