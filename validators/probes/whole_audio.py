"""Sounds from end to end: whether there is anything to hear."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validators.probes.facts import Health, MediaFacts, Trait, with_traits
from validators.probes.opening import opened
from validators.probes.reading import read_at
from validators.probes.video import reason_of

if TYPE_CHECKING:
    import numpy as np
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

MAX_SAMPLES = 1 << 28  # a channel: 93 minutes at 48 kHz
QUIET = -30.0  # dB below full scale; noted below this, rules have their own numbers
FULL = 0.9995  # of full scale: 16 of the 32768 steps of 16 bits
CLIPPED = 0.001  # share of samples; noted above this
CANCELLED = 6.0  # dB; noted above this: two unlike channels lose 3
FLOOR = 1e-10  # -200 dB
# Containers whose header counts samples, and is believed by FFmpeg where the file is shorter
EXACT = frozenset({"au", "flac", "aiff", "mov,mp4,m4a,3gp,3g2,mj2"})
MP3_HEADERS = (b"Xing", b"Info", b"VBRI")  # without one of these FFmpeg estimates the length from the rate of bits
HEAD = 1 << 16
ENDLESS = (0, 0xFFFFFFFF)  # what programs write that cannot go back to fill in a WAV's length
LOST = 0.05  # of the stated length, and
LOST_SECONDS = 0.2  # more than encoders' lead-in


@dataclass(slots=True)
class Heard:
    """Sums over what was heard so far."""

    samples: int = 0
    values: int = 0
    energy: float = 0.0
    mixed: float = 0.0
    full: int = 0
    broken: int = 0

    def hear(self, frame: AudioFrame) -> None:
        """Take one frame in."""
        import numpy as np

        sound = as_floats(frame)
        finite = np.isfinite(sound)
        self.broken += sound.size - int(finite.sum())
        sound = np.where(finite, sound, 0)
        self.samples += sound.shape[1]
        self.values += sound.size
        self.energy += float(np.square(sound).sum())
        self.mixed += float(np.square(sound.mean(axis=0)).sum())
        self.full += int((np.abs(sound) >= FULL).sum())


def as_floats(frame: AudioFrame) -> np.ndarray:
    """Samples from -1 to 1, a row a channel (libavutil/samplefmt.h)."""
    import numpy as np

    values: Any = frame.to_ndarray()  # of a type for each format
    if not frame.format.is_planar:
        values = values.reshape(-1, len(frame.layout.channels)).T
    sound: np.ndarray = values.astype(np.float64)
    if values.dtype == np.uint8:
        return (sound - 128) / 128
    return sound / -float(np.iinfo(values.dtype).min) if values.dtype.kind == "i" else sound


def examine_audio(path: Path, facts: MediaFacts) -> MediaFacts:
    """The facts with what is unusual in the samples."""
    import av

    heard = Heard()
    try:
        with opened(path) as container:
            best = container.streams.best("audio")
            stream = next(stream for stream in container.streams.audio if best is None or stream.index == best.index)
            stated = stated_seconds(path, container, stream)
            for frame in container.decode(stream):
                heard.hear(frame)
                if heard.samples >= MAX_SAMPLES:
                    return with_traits(facts, sound_traits(heard) | {Trait.PARTLY: heard.samples})
    except (av.FFmpegError, OSError, ValueError) as error:
        return replace(facts, health=Health.UNREADABLE, detail=reason_of(error))
    traits = sound_traits(heard)
    if stated - heard.samples / facts.rate > max(LOST * stated, LOST_SECONDS):
        traits[Trait.SHORTENED] = stated
    return with_traits(facts, traits)


def stated_seconds(path: Path, container: InputContainer, stream: AudioStream) -> float:
    """The length that the header states, 0 where that is an estimate."""
    name = container.format.name
    with path.open("rb", buffering=0) as file:
        head = read_at(file.fileno(), HEAD, 0)
    if name == "wav":
        return stated_by_wav(head)
    exact = name in EXACT or (name == "mp3" and any(mark in head for mark in MP3_HEADERS))
    if not exact or stream.duration is None or stream.time_base is None:
        return 0.0
    return float(stream.duration * stream.time_base)


def stated_by_wav(head: bytes) -> float:
    """The length of a WAV's first data chunk, from the start of the file; FFmpeg shortens what it states itself."""
    at, bytes_a_second = 12, 0
    while at + 8 <= len(head):
        length = int.from_bytes(head[at + 4 : at + 8], "little")
        if head[at : at + 4] == b"fmt ":
            bytes_a_second = int.from_bytes(head[at + 16 : at + 20], "little")
        elif head[at : at + 4] == b"data":
            return length / bytes_a_second if bytes_a_second and length not in ENDLESS else 0.0
        at += 8 + length + length % 2
    return 0.0


def sound_traits(heard: Heard) -> dict[Trait, float | None]:
    """What the sums say."""
    if not heard.values:
        return {}
    found: dict[Trait, float | None] = {}
    if heard.broken:
        found[Trait.NOT_FINITE] = heard.broken
    loudness = decibels(heard.energy / heard.values)
    if loudness < QUIET:
        found[Trait.LOUDNESS] = loudness
    if heard.full / heard.values > CLIPPED:
        found[Trait.CLIPPED] = heard.full / heard.values
    lost = loudness - decibels(heard.mixed / heard.samples)
    if lost > CANCELLED:
        found[Trait.CANCELLED] = lost
    return found


def decibels(power: float) -> float:
    """A mean square against full scale."""
    return 10 * math.log10(max(power, FLOOR**2))
