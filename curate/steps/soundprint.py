"""Sounds by what is heard: bits that say where in the spectrum energy rises.

J. Haitsma, T. Kalker, A Highly Robust Audio Fingerprinting System, 2002: one bit a band and step, the sign of the
difference between neighbouring bands, and between one step and the next. Another loudness, rate, channel layout or
compression leaves most bits as they are; those of two unlike sounds agree by half.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from validators.probes.opening import Elsewhere, opened
from validators.traces.hashing import Hashes, Numbers
from validators.traces.pairs import pairs_in
from validators.traces.pictures import ONES

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

RATE = 8000
WINDOW, HOP = 4096, 256  # samples: half a second, and a 32nd
SECONDS = 60  # heard at most, from the start
LOWEST, HIGHEST, BITS = 200.0, 3000.0, 32  # Hz: what phones and low bit rates keep
SHIFT = 16  # steps by which one may begin later: lead-ins of encoders, a trimmed start
FEWEST = 24  # steps with sound, below which a print proves nothing
SHORT = 512  # steps up to which parts of their bits are looked up, too
SILENT = 1e-5  # of the loudest step's energy
EDGES = np.geomspace(LOWEST, HIGHEST, BITS + 2) * WINDOW / RATE
UNLIKE = 0.5  # share of bits that agree by chance


@dataclass(frozen=True, slots=True, eq=False)
class SoundPrint:
    """The bits of each step, as a number, and which steps have sound."""

    seconds: float
    bits: npt.NDArray[np.uint32]
    heard: npt.NDArray[np.bool_]


def print_of(path: Path) -> SoundPrint | None:
    """The print of a file's best audio stream; None where it cannot be decoded, or there is too little to hear."""
    import av

    try:
        with opened(path) as container:
            sound, seconds = listened(container)
    except (av.FFmpegError, Elsewhere, OSError, ValueError, IndexError, StopIteration):
        return None
    return printed(sound, seconds)


def listened(container: InputContainer) -> tuple[npt.NDArray[np.float32], float]:
    """The first seconds as mono samples at RATE, and the duration of all."""
    import av

    stream = container.streams.best("audio") or next(iter(container.streams.audio))
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    parts: list[npt.NDArray[np.float32]] = []
    size = 0
    for frame in container.decode(cast("AudioStream", stream)):
        for made in resampler.resample(frame):
            parts.append(made.to_ndarray().ravel().astype(np.float32))
            size += len(parts[-1])
        if size >= SECONDS * RATE:
            break
    sound = np.concatenate(parts)[: SECONDS * RATE] if parts else np.empty(0, np.float32)
    if size < SECONDS * RATE or stream.duration is None or stream.time_base is None:
        return sound, size / RATE
    return sound, float(stream.duration * stream.time_base)


def printed(sound: npt.NDArray[np.float32], seconds: float) -> SoundPrint | None:
    """The print of samples."""
    if len(sound) < WINDOW + HOP * FEWEST or not np.isfinite(sound).all():
        return None
    windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    shape = np.hanning(WINDOW).astype(np.float32)
    edges = np.round(EDGES).astype(int)
    energy = np.concatenate(
        [
            np.add.reduceat(np.abs(np.fft.rfft(windows[at : at + 256] * shape)) ** 2, edges, axis=1)[:, :-1]
            for at in range(0, len(windows), 256)
        ]
    )
    slope = np.diff(energy, axis=1)
    signs = np.diff(slope, axis=0) > 0
    weights = np.uint32(1) << np.arange(BITS, dtype=np.uint32)
    total = energy.sum(axis=1)
    heard = np.asarray(total[1:] > SILENT * total.max(), dtype=bool)
    if heard.sum() < FEWEST:
        return None
    return SoundPrint(seconds, (signs * weights).sum(axis=1, dtype=np.uint32), heard)


def sound_likeness(one: SoundPrint, other: SoundPrint) -> float:
    """From 0, no more than chance, to 1: how many bits agree where both have sound, at the shift that fits best."""
    best = 0.0
    for shift in range(-SHIFT, SHIFT + 1):
        left, right = max(0, shift), max(0, -shift)
        size = min(len(one.bits) - left, len(other.bits) - right)
        if size < FEWEST:
            continue
        both = one.heard[left : left + size] & other.heard[right : right + size]
        count = int(both.sum())
        if count < FEWEST or count * 2 < max(int(one.heard.sum()), int(other.heard.sum())):
            continue
        unlike = (one.bits[left : left + size] ^ other.bits[right : right + size])[both]
        wrong = int(ONES[unlike.view(np.uint8)].sum(dtype=np.int64))
        best = max(best, 1 - wrong / (count * BITS))
    return max(0.0, (best - UNLIKE) / (1 - UNLIKE))


def sound_candidates(prints: list[SoundPrint]) -> tuple[Numbers, Numbers]:
    """Pairs that have a step's bits in common, the smaller number first, in order, each once."""
    codes = [codes_of(each) for each in prints]
    owners = np.repeat(np.arange(len(codes)), [len(each) for each in codes])
    left, right = pairs_in(np.concatenate(codes)) if codes else (owners, owners)
    one, other = owners[left], owners[right]
    pairs = np.unique(np.minimum(one, other) * max(1, len(prints)) + np.maximum(one, other))
    first, second = np.divmod(pairs, max(1, len(prints)))
    return first[first != second], second[first != second]


def codes_of(each: SoundPrint) -> Hashes:
    """What is looked up: all bits of a step, and for short sounds all but a byte, which more often has no error."""
    bits = each.bits[each.heard].astype(np.uint64)
    if len(bits) > SHORT:
        return np.unique(bits)
    parts = [bits & ~np.uint64(0xFF << byte * 8) | np.uint64(byte + 1 << BITS) for byte in range(BITS // 8)]
    return np.unique(np.concatenate([bits, *parts]))
