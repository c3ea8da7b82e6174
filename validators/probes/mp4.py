"""The boxes of an MP4 or QuickTime file: whether its frame count can be believed without decoding.

Source: ISO/IEC 14496-12 (boxes, sample tables, edit lists); 14496-15 (samples of H.264 and HEVC).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from validators.probes.reading import read_at

if TYPE_CHECKING:
    import numpy as np

FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
MAX_BOXES = 4096
MAX_MOOV = 1 << 26
MAX_SAMPLES = 1 << 21
# Codecs of which each sample is a frame, with the bytes that it has at least: less is void, or repeats the frame before
# and is not given out (MPEG-4's N-VOP). AV1 and VP9 show a frame again in a few bytes, and give it out.
SMALLEST_FRAME = dict.fromkeys((b"avc1", b"avc3", b"hvc1", b"hev1", b"mp4v", b"jpeg", b"vp08"), 8)
SMALLEST_FRAME |= dict.fromkeys((b"apch", b"apcn", b"apcs", b"apco", b"ap4h", b"ap4x"), 8) | {b"av01": 1, b"vp09": 1}
HEAD_BYTES = 1 << 16
NAL_CODECS = {b"avc1": "avcC", b"avc3": "avcC", b"hvc1": "hvcC", b"hev1": "hvcC"}
IDR = {"avcC": (5,), "hvcC": (19, 20)}
PICTURES = {"avcC": range(1, 6), "hvcC": range(32)}


@dataclass(frozen=True, slots=True)
class Track:
    """A video track."""

    number: int
    turned: bool
    """Its matrix turns or mirrors the picture."""
    plain: bool
    """Each of its samples is a frame that a decoder gives out."""
    times: np.ndarray | None
    """When each sample is shown, in units of the track; None where all are equally long, or that is not known."""


def is_mp4(handle: int) -> bool:
    """Whether the file starts with one of the boxes that such files start with."""
    return read_at(handle, 8, 0)[4:] in FIRST_BOXES


def video_tracks(handle: int) -> dict[int, Track]:
    """The video tracks by track number; none where the file is cut, fragmented, or not understood."""
    size = os.fstat(handle).st_size
    moov = None
    at = 0
    for _ in range(MAX_BOXES):
        if at == size:
            break
        head = read_at(handle, 16, at)
        length, body = int.from_bytes(head[:4], "big"), 8
        if length == 1:  # a 64-bit length follows the type
            length, body = int.from_bytes(head[8:16], "big"), 16
        elif length == 0:  # this box runs to the end
            length = size - at
        if len(head) < 8 or length < body or at + length > size or head[4:8] == b"moof":
            return {}
        if head[4:8] == b"moov":
            if moov is not None or length > MAX_MOOV:
                return {}
            moov = read_at(handle, length - body, at + body)
        at += length
    if moov is None or at != size:
        return {}
    try:
        return {track.number: track for track in tracks(moov, handle, size)}
    except (struct.error, ValueError, KeyError, IndexError):
        return {}


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of the boxes that follow each other; ValueError where one runs over, or there is no end."""
    at = 0
    for _ in range(MAX_BOXES):
        if at + 8 > len(data):
            return
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 0 and not any(data[at:]):  # QuickTime ends some lists with a zero
            return
        if length < 8 or at + length > len(data):
            raise ValueError("a box runs over its parent's end")
        yield data[at + 4 : at + 8], data[at + 8 : at + length]
        at += length
    raise ValueError("more boxes than any real file has")


def child(data: bytes, *names: bytes) -> bytes:
    """The content of the first box down that path; KeyError without one."""
    for name in names:
        data = next((content for kind, content in boxes(data) if kind == name), b"")
        if not data:
            raise KeyError(name)
    return data


def tracks(moov: bytes, handle: int, size: int) -> Iterator[Track]:
    """The video tracks of a moov box."""
    if any(kind in (b"mvex", b"cmov") for kind, _ in boxes(moov)):
        return
    movie_scale, _ = times(child(moov, b"mvhd"))
    for kind, trak in boxes(moov):
        if kind != b"trak" or child(trak, b"mdia", b"hdlr")[8:12] != b"vide":
            continue
        header = child(trak, b"tkhd")
        long = header[0] == 1
        number = int.from_bytes(header[20:24] if long else header[12:16], "big")
        a, b, _, c, d = struct.unpack_from(">5i", header, 52 if long else 40)
        plain = is_plain(trak, movie_scale, handle, size)
        yield Track(number, not (b == 0 and c == 0 and a > 0 and d > 0), plain, uneven_times(trak))


def times(header: bytes) -> tuple[int, int]:
    """Units a second and duration in units of an mvhd or mdhd box."""
    scale, duration = struct.unpack_from(">IQ", header, 20) if header[0] == 1 else struct.unpack_from(">II", header, 12)
    return scale, duration


def is_plain(trak: bytes, movie_scale: int, handle: int, size: int) -> bool:
    """Whether nothing in the tables hides, skips or repeats a frame."""
    import numpy as np

    media_scale, _ = times(child(trak, b"mdia", b"mdhd"))
    tables = dict(boxes(child(trak, b"mdia", b"minf", b"stbl")))
    fixed, count = struct.unpack_from(">II", tables[b"stsz"], 4)
    if not 0 < count <= MAX_SAMPLES or media_scale == 0 or movie_scale == 0:
        return False
    codec = tables[b"stsd"][12:16]
    if codec not in SMALLEST_FRAME:
        return False
    sizes = np.full(count, fixed) if fixed else np.frombuffer(tables[b"stsz"], ">u4", count, 12).astype(np.int64)
    offsets = chunk_offsets(tables)
    if sizes.min() < SMALLEST_FRAME[codec] or not lie_inside(offsets, chunk_lengths(tables, len(offsets)), sizes, size):
        return False
    if b"stss" in tables and tables[b"stss"][4:12][-4:] != b"\0\0\0\1":  # the first sample is no point to start from
        return False
    return is_shown_whole(trak, tables, count, media_scale / movie_scale) and starts_clean(
        tables[b"stsd"], read_at(handle, min(int(sizes[0]), HEAD_BYTES), int(offsets[0]))
    )


def uneven_times(trak: bytes) -> np.ndarray | None:
    """When each sample is shown, in order, in units of the track; None where all are equally long, or not known."""
    import numpy as np

    tables = dict(boxes(child(trak, b"mdia", b"minf", b"stbl")))
    runs = np.frombuffer(tables[b"stts"], ">u4", 2 * int.from_bytes(tables[b"stts"][4:8], "big"), 8).reshape(-1, 2)
    count = int(runs[:, 0].sum(dtype=np.int64))
    if len(runs) < 2 or count > MAX_SAMPLES:
        return None
    shown = shown_times(tables, runs)
    return None if shown is None else np.sort(shown)


def shown_times(tables: dict[bytes, bytes], runs: np.ndarray) -> np.ndarray | None:
    """When each sample is shown, in the order of decoding, in units of the track; None where tables disagree."""
    import numpy as np

    shown = np.repeat(runs[:, 1].astype(np.int64), runs[:, 0]).cumsum()
    shown = np.concatenate(([0], shown[:-1]))
    if b"ctts" not in tables:
        return shown
    later = np.frombuffer(tables[b"ctts"], ">i4", 2 * int.from_bytes(tables[b"ctts"][4:8], "big"), 8).reshape(-1, 2)
    if later[:, 0].min() < 0 or int(later[:, 0].sum(dtype=np.int64)) != len(shown):
        return None
    return np.asarray(shown + np.repeat(later[:, 1].astype(np.int64), later[:, 0]))


def chunk_offsets(tables: dict[bytes, bytes]) -> np.ndarray:
    """Where the chunks of samples start."""
    import numpy as np

    name, kind = (b"co64", ">u8") if b"co64" in tables else (b"stco", ">u4")
    return np.frombuffer(tables[name], kind, int.from_bytes(tables[name][4:8], "big"), 8).astype(np.int64)


def chunk_lengths(tables: dict[bytes, bytes], chunks: int) -> np.ndarray:
    """Samples in each chunk: each entry of the table holds from its first chunk to the next entry's."""
    import numpy as np

    entries = int.from_bytes(tables[b"stsc"][4:8], "big")
    table = np.frombuffer(tables[b"stsc"], ">u4", 3 * entries, 8).reshape(-1, 3).astype(np.int64)
    runs = np.diff(np.append(table[:, 0], chunks + 1))
    if entries == 0 or table[0, 0] != 1 or runs.min() < 1:
        raise ValueError("chunks out of order")
    return np.repeat(table[:, 1], runs)


def lie_inside(offsets: np.ndarray, lengths: np.ndarray, sizes: np.ndarray, size: int) -> bool:
    """Whether the chunks hold each sample once, and end inside the file."""
    import numpy as np

    if int(lengths.sum()) != len(sizes) or lengths.min() < 1:
        return False
    chunk_sizes = np.add.reduceat(sizes, np.concatenate(([0], lengths.cumsum()[:-1])))
    return int((offsets + chunk_sizes).max()) <= size


def is_shown_whole(trak: bytes, tables: dict[bytes, bytes], count: int, scale: float) -> bool:
    """Whether the edit list, if any, starts before the first frame and ends after the last."""
    import numpy as np

    edits = next((dict(boxes(content)).get(b"elst", b"") for kind, content in boxes(trak) if kind == b"edts"), b"")
    runs = np.frombuffer(tables[b"stts"], ">u4", 2 * int.from_bytes(tables[b"stts"][4:8], "big"), 8).reshape(-1, 2)
    if int(runs[:, 0].sum()) != count:
        return False
    if not edits:
        return True
    form, length = (">Qq", 20) if edits[0] == 1 else (">Ii", 12)
    number = int.from_bytes(edits[4:8], "big")
    if number > 8:
        return False
    entries = [struct.unpack_from(form, edits, 8 + length * place) for place in range(number)]
    real = [entry for entry in entries if entry[1] != -1]  # -1: nothing is shown for a while
    if len(real) != 1:
        return False
    shown = shown_times(tables, runs)
    if shown is None:
        return False
    length_shown, start = real[0]
    end = start + length_shown * scale
    return bool(start <= int(shown.min()) and end > int(shown.max()))


def starts_clean(descriptions: bytes, sample: bytes) -> bool:
    """Whether decoding can start at the first sample and give a frame for each that follows.

    A video that was cut out of a longer one can begin with a frame that is no full restart (H.264 without an IDR,
    HEVC's CRA), and decoders drop what refers to the frames before it.
    """
    if int.from_bytes(descriptions[4:8], "big") != 1:
        return False
    codec = descriptions[12:16]
    match codec:
        case b"vp08":
            return sample[0] & 1 == 0
        case b"vp09":
            return is_vp9_key(sample[0])
        case b"av01":
            return is_av1_key(sample)
    if codec not in NAL_CODECS:
        return True
    record = NAL_CODECS[codec]
    place = descriptions.find(record.encode())
    if place < 0:
        return False
    wide = (descriptions[place + 4 + (4 if record == "avcC" else 21)] & 3) + 1
    at = 0
    while at + wide < len(sample):
        kind = sample[at + wide] & 31 if record == "avcC" else sample[at + wide] >> 1 & 63
        if kind in PICTURES[record]:
            return kind in IDR[record]
        at += wide + int.from_bytes(sample[at : at + wide], "big")
    return False


def is_vp9_key(first: int) -> bool:
    """Whether a VP9 frame's first byte is a key frame's (VP9 bitstream specification, 6.2: uncompressed_header)."""
    shift = 1 if first & 0x30 == 0x30 else 0  # profile 3 has one bit more
    again, other = first >> (3 - shift) & 1, first >> (2 - shift) & 1
    return first >> 6 == 2 and not again and not other


def is_av1_key(sample: bytes) -> bool:
    """Whether the first frame of AV1 data is a key frame (AV1 bitstream specification, 5.3 and 5.9)."""
    at = 0
    while at + 2 < len(sample):
        kind, extended, sized = sample[at] >> 3 & 15, sample[at] >> 2 & 1, sample[at] >> 1 & 1
        at += 1 + extended
        length, shift = 0, 0
        while sized:
            length |= (sample[at] & 127) << shift
            shift += 7
            at += 1
            sized = sample[at - 1] >> 7
        if kind in (3, 6):  # frame header, frame
            return sample[at] >> 5 == 0  # not shown again, type 0
        if not length and kind != 2:
            return False
        at += length
    return False
