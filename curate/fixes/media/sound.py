"""AUD101: what can still be decoded of a sound, as a WAV."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from curate.fixes.media.proving import MOST
from curate.fixes.protocol import CannotMend
from curate.media.make.containers import read
from curate.media.make.streams import packets_of
from validators.probes.audio import FLOAT, MAX_CHUNKS, PCM, wav_format
from validators.probes.reading import read_at

if TYPE_CHECKING:
    import numpy as np
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from numpy.typing import NDArray

MAX_WAV = 1 << 31  # bytes of samples; four gigabytes end its counters
LEFT_OPEN = 0x7FFFF000  # a recorder that was stopped leaves a data length of 0, or one at the end of its counter
PIECE = 1 << 20
MICROSECONDS = 1_000_000
# Containers that state how long the sound is; of others FFmpeg guesses it from the size
TIMED = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flac", "wav", "aiff", "caf"})


def save_as_wav(source: Path, target: Path) -> str:
    """Save what is left of the sound, if hardly any is missing: samples as they are coded, or as they decode."""
    with source.open("rb", buffering=0) as file:
        found = plain_data(file.fileno())
        if found is not None:
            return found.save(file, target)
    return save_what_decodes(source, target)


@dataclass(frozen=True, slots=True)
class PlainData:
    """The samples of a WAV that need no decoding."""

    form: bytes
    """What the fmt chunk holds."""
    start: int
    length: int
    """Bytes of whole samples in the file."""
    stated: int
    """Bytes that the header states."""

    def save(self, file: BinaryIO, target: Path) -> str:
        """Write the same samples under a header that is right."""
        share = self.length / self.stated if 0 < self.stated < LEFT_OPEN else 1.0
        if not self.length:
            raise CannotMend("it has no samples")
        if share < MOST:
            raise CannotMend(f"only {share:.0%} of the sound is in the file")
        if self.length > MAX_WAV:
            raise CannotMend(f"more than {MAX_WAV >> 30} GiB of samples")
        with target.open("wb") as copy:
            copy.write(header(self.form, self.length))
            file.seek(self.start)
            left = self.length
            while left:
                piece = file.read(min(PIECE, left))
                copy.write(piece)
                left -= len(piece)
        return "header written anew" if share == 1 else f"header written anew, for {share:.1%} of the sound"


def plain_data(handle: int) -> PlainData | None:
    """The samples of a WAV of plain PCM or floats whose data runs to the end of the file, or should run past it."""
    size = os.fstat(handle).st_size
    head = read_at(handle, 12, 0)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    at, form = 12, b""
    for _ in range(MAX_CHUNKS):
        name = read_at(handle, 8, at)
        length = int.from_bytes(name[4:], "little")
        if len(name) < 8:
            return None
        if name[:4] == b"fmt ":
            form = read_at(handle, min(length, 40), at + 8)
        elif name[:4] == b"data":
            frame, _ = wav_format(form)
            there = size - at - 8
            if not frame or 0 < length < there:
                return None
            return PlainData(form, at + 8, there - there % frame, length)
        at += 8 + length + length % 2
    return None


def header(form: bytes, length: int) -> bytes:
    """All of a WAV before its samples."""
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", length)
    return b"RIFF" + struct.pack("<I", len(body) + length) + body


def save_what_decodes(source: Path, target: Path) -> str:
    """Decode packet by packet, with silence for those that fail, at the depth that the decoder gives."""
    heard = silent = 0
    form = b""
    with read(source) as container, target.open("wb") as copy:
        stream = best_sound(container)
        for samples, is_silence in decoded(container, stream):
            if not form:
                form = form_of(samples, stream.rate)
                copy.write(header(form, 0))
            elif form != form_of(samples, stream.rate):
                raise CannotMend("its rate, depth or number of channels changes")
            copy.write(samples.tobytes())
            if copy.tell() > MAX_WAV:
                raise CannotMend(f"more than {MAX_WAV >> 30} GiB of samples")
            silent += len(samples) if is_silence else 0
            heard += 0 if is_silence else len(samples)
        share = heard / max(heard + silent, stated_samples(container, stream), 1)
        if share < MOST:
            raise CannotMend(f"only {share:.0%} of the sound can be decoded")
        length = copy.tell() - len(header(form, 0))
        copy.seek(0)
        copy.write(header(form, length))
    return f"saved as WAV, with {share:.1%} of the sound" + (" and silence between" if silent else "")


def best_sound(container: InputContainer) -> AudioStream:
    """The stream that the trainer would hear. CannotMend where there is none, or none with a decoder."""
    best = container.streams.best("audio")
    for stream in container.streams.audio:
        if best is not None and stream.index == best.index and stream.codec_context is not None and stream.rate:
            stream.codec_context.thread_count = 1  # so that an error is that of this packet
            return stream
    raise CannotMend("no sound that can be decoded")


def decoded(container: InputContainer, stream: AudioStream) -> Iterator[tuple[NDArray[np.generic], bool]]:
    """Samples x channels from time 0 on, and whether they are silence in place of a packet that failed."""
    import av
    import numpy as np

    last: NDArray[np.generic] | None = None
    for packet in packets_of(container, [stream.index]):
        try:
            frames = stream.decode(packet)
        except (av.FFmpegError, ValueError):
            if last is not None:
                yield np.zeros((samples_in(packet, stream.rate) or len(last), last.shape[1]), last.dtype), True
            continue
        for frame in frames:
            samples = as_samples(frame)
            early = round(-frame.time * stream.rate) if frame.time is not None and frame.time < 0 else 0
            if early < len(samples):
                last = samples
                yield samples[early:], False


def samples_in(packet: Packet, rate: int) -> int:
    """How many samples the container gives a packet, 0 where it does not tell."""
    return round(packet.duration * packet.time_base * rate) if packet.duration and packet.time_base else 0


def as_samples(frame: AudioFrame) -> NDArray[np.generic]:
    """Samples x channels as whole numbers of 16 or 32 bits, or floats."""
    import numpy as np

    values = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels)
    match values.dtype:
        case np.uint8:
            values = (values.astype(np.int16) - 128) * 256
        case np.int16 | np.int32:
            pass
        case _:
            values = values.astype(np.float32)
    return np.ascontiguousarray(values)


def form_of(samples: NDArray[np.generic], rate: int) -> bytes:
    """What a fmt chunk says of them."""
    channels, wide = samples.shape[1], samples.dtype.itemsize
    tag = FLOAT if samples.dtype.kind == "f" else PCM
    return struct.pack("<HHIIHH", tag, channels, rate, rate * channels * wide, channels * wide, wide * 8)


def stated_samples(container: InputContainer, stream: AudioStream) -> int:
    """Samples that the container says the sound lasts, 0 where it does not tell."""
    if container.format.name not in TIMED:
        return 0
    if stream.duration is not None and stream.time_base is not None:
        return round(stream.duration * stream.time_base * stream.rate)
    return round(container.duration * stream.rate / MICROSECONDS) if container.duration else 0
