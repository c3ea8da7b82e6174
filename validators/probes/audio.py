"""Sounds: the samples that torchaudio would give, from a WAV's header where that is exact, else by decoding.

Sources: torchaudio 2.11 (_torchcodec.py: load_with_torchcodec) and torchcodec 0.11 (SingleStreamDecoder.cpp:
getFramesPlayedInRangeAudio; decoders/_audio_decoder.py: get_samples_played_in_range), which decode with FFmpeg.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from validators.probes.facts import Health, MediaFacts
from validators.probes.opening import Elsewhere, opened
from validators.probes.reading import read_at
from validators.probes.video import reason_of

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

MAX_SAMPLES = 1 << 31  # a channel: 12 hours at 48 kHz, more than the trainer could hold
MAX_CHUNKS = 64
ADPCM = (0x02, 0x11)  # Microsoft's and IMA's
OLD_PACKET = 4096  # libavformat/wavdec.c before FFmpeg 7
FFMPEG_7 = 59  # its libavutil
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
SUBTYPE = bytes.fromhex("000000001000800000aa00389b71")  # a format GUID after its first two bytes
DEPTHS = {PCM: (8, 16, 24, 32), FLOAT: (32, 64)}


def probe_audio(path: Path) -> MediaFacts:
    """Sample rate and samples a channel of an audio file (or of a video's sound), or why it cannot be read."""
    import av

    try:
        str(path).encode()
    except UnicodeEncodeError:  # torchcodec 0.11, decoders/_audio_decoder.py: it takes names as UTF-8 only
        return MediaFacts(Health.UNREADABLE, "its path is not UTF-8, and torchcodec takes no other")
    try:
        with path.open("rb", buffering=0) as file:
            known = wav_facts(file.fileno())
            stride = adpcm_stride(file.fileno())
        if known is not None:
            return known
        with opened(path) as container:
            facts = decoded_facts(container, stride)
    except Elsewhere as reason:
        return MediaFacts(Health.PLAYLIST, str(reason))
    except (av.FFmpegError, OSError, UnicodeDecodeError, ValueError, IndexError) as error:
        return MediaFacts(Health.UNREADABLE, reason_of(error))
    return facts


def decoded_facts(container: InputContainer, stride: int) -> MediaFacts:
    """The facts of the sound that FFmpeg takes for the best of the container; every stride-th frame of it counts."""
    best = container.streams.best("audio")
    stream = next(
        (stream for stream in container.streams.audio if best is not None and stream.index == best.index), None
    )
    if stream is None:
        return MediaFacts(Health.NO_STREAM, "no audio stream")
    rate = stream.rate if stream.codec_context is not None else 0  # None: no decoder, which PyAV's typing omits
    if not rate:
        return MediaFacts(Health.UNREADABLE, "no sample rate, or no decoder")
    samples = heard_samples(container, stream, stride)
    if samples is None:
        return MediaFacts(Health.UNREADABLE, "no sound can be decoded")
    if samples >= MAX_SAMPLES:
        return MediaFacts(Health.UNREADABLE, f"more than {MAX_SAMPLES} samples")
    return sound(rate, samples, container.format.name)


def sound(rate: int, samples: int, form: str) -> MediaFacts:
    """Facts of a readable sound."""
    return MediaFacts(Health.OK, rate=rate, samples=samples, duration=samples / rate, form=form)


def heard_samples(container: InputContainer, stream: AudioStream, stride: int = 1) -> int | None:
    """Samples a channel that torchcodec returns, None where it finds no frame and raises.

    It keeps the frames that end after time 0, and of the first as much as lies after it: encoders' lead-in that the
    container places before 0 is lost, lead-in that the decoder itself knows of is never seen.
    """
    rate, base = stream.rate, stream.time_base
    total = 0
    first: float | None = None
    for number, frame in enumerate(container.decode(stream)):
        if number % stride:
            continue
        start = frame.pts if frame.pts is not None else frame.dts
        if start is None or start + ticks(frame) <= 0:
            continue
        if first is None:
            first = float(start * base) if base is not None else 0.0
        total += frame.samples
        if total >= MAX_SAMPLES:
            break
    if first is None:
        return None
    return total - round(-first * rate) if first < 0 else total


def ticks(frame: AudioFrame) -> int:
    """A frame's length in its time base; PyAV before 15 does not tell it, then it is that of the samples."""
    duration = getattr(frame, "duration", None)
    if duration is not None or not frame.sample_rate or not frame.time_base:
        return duration or 0
    return int(frame.samples / (frame.sample_rate * frame.time_base))


def wav_facts(handle: int) -> MediaFacts | None:
    """The facts of a whole WAV file of plain PCM or floats; None where FFmpeg has to decide.

    FFmpeg (libavformat/wavdec.c) reads the data chunk to its end, and goes on with a second one if there is any.
    """
    size = os.fstat(handle).st_size
    head = read_at(handle, 12, 0)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    at, frame, rate, samples = 12, 0, 0, None
    for _ in range(MAX_CHUNKS):
        if at == size or (at == size + 1 and samples is not None):  # the padding byte of the last chunk may lack
            break
        header = read_at(handle, 8, at)
        length = int.from_bytes(header[4:], "little")
        if len(header) < 8 or at + 8 + length > size:
            return None
        if header[:4] == b"fmt " and not rate:
            frame, rate = wav_format(read_at(handle, min(length, 40), at + 8))
        elif header[:4] == b"data":
            if not frame or samples is not None or length == 0 or length % frame:
                return None
            samples = length // frame
        elif samples is None and not header[:4].isascii():
            return None
        at += 8 + length + length % 2
    else:
        return None
    return sound(rate, samples, "wav") if samples else None


def adpcm_stride(handle: int) -> int:
    """Blocks a packet of an ADPCM WAV under the FFmpeg that the trainer would use; 1 of any other file.

    Before FFmpeg 7 a packet holds many blocks and only its first frame has a time; torchcodec drops frames without
    one, and so most of the sound. PyAV brings a newer FFmpeg, where each block is a packet.
    """
    head = read_at(handle, 36, 0)
    if head[:4] != b"RIFF" or head[12:16] != b"fmt " or int.from_bytes(head[20:22], "little") not in ADPCM:
        return 1
    from validators.probes.decoder import libavutil_major

    block = int.from_bytes(head[32:34], "little")
    return max(1, OLD_PACKET // block) if block and (libavutil_major() or FFMPEG_7) < FFMPEG_7 else 1


def wav_format(fields: bytes) -> tuple[int, int]:
    """Bytes a sample of all channels, and the rate, of a plain format; 0 and 0 of any other."""

    def number(at: int, length: int) -> int:
        return int.from_bytes(fields[at : at + length], "little")

    tag, channels, rate, block, bits = number(0, 2), number(2, 2), number(4, 4), number(12, 2), number(14, 2)
    if tag == EXTENSIBLE:
        if len(fields) < 40 or number(18, 2) != bits or fields[26:40] != SUBTYPE:
            return 0, 0
        tag = number(24, 2)
    if bits not in DEPTHS.get(tag, ()) or not 1 <= channels <= 8 or block != channels * bits // 8:
        return 0, 0
    return (block, rate) if 0 < rate < 1 << 20 else (0, 0)
