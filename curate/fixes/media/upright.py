"""VID302: the frames encoded anew, as players turn them. VID301 too, where an MP4 cannot hold them as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

from curate.fixes.protocol import CannotMend
from curate.media.make.containers import bounded, frames_of, read
from curate.media.make.streams import MP4_OPTIONS, copied_sounds, prove_count, shift
from validators.probes.video import matrix_of

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# One thread: with more, the bytes depend on their number. No mbtree: with it, x264 (core 165) gives other bytes in one
# run of thirty. No B-frames: each packet is a frame, from time 0 on.
H264 = {"crf": "14", "preset": "medium", "threads": "1", "mbtree": "0", "bf": "0"}
# Where PyAV was built without x264: the finest steps that MPEG-4 has.
MPEG4 = {"qmin": "2", "qmax": "2", "threads": "1", "flags": "+bitexact"}
ENCODERS = (("libx264", H264), ("mpeg4", MPEG4))
TURNS: Mapping[tuple[int, ...], tuple[tuple[str, str], ...]] = {
    (1, 0, 0, 1): (),
    (-1, 0, 0, 1): (("hflip", ""),),
    (1, 0, 0, -1): (("vflip", ""),),
    (-1, 0, 0, -1): (("hflip", ""), ("vflip", "")),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}
"""Filters by the signs of a matrix's cells a, b, c, d (libavutil/display.h): x' = ax + cy, y' = bx + dy."""


def encode_upright(source: Path, target: Path) -> str:
    """Encode the frames anew, turned and mirrored as the display matrix says, if at all; the sound is copied."""
    import av

    first = next(frames_of(source), None)
    if first is None:
        raise CannotMend("no frame can be decoded")
    count = 0
    with read(source) as container, av.open(str(target), "w", format="mp4", options=MP4_OPTIONS) as output:
        video = container.streams.video[0]
        turn = turning(video, first)
        encoder = encoding(output, video, turn(first))
        sounds, left_out = copied_sounds(container, output)
        for frame in bounded(frames_beside(container, video, sounds, output)):
            count += 1
            output.mux(encoder.encode(turn(frame)))
        output.mux(encoder.encode(None))
    prove_count(target, count)
    return f"encoded anew, with loss{left_out}"


def frames_beside(
    container: InputContainer,
    video: VideoStream,
    sounds: Mapping[int, Stream],
    output: OutputContainer,
    start: Fraction = Fraction(0),
) -> Iterator[VideoFrame]:
    """The video's frames; the packets of sound between them go to the output, `start` seconds earlier."""
    for packet in container.demux(video, *(container.streams[index] for index in sounds)):
        if packet.stream.index == video.index:
            yield from video.decode(packet)
        elif packet.size:
            shift(packet, start)
            packet.stream = sounds[packet.stream.index]
            output.mux(packet)


def turning(video: VideoStream, first: VideoFrame) -> Callable[[VideoFrame], VideoFrame]:
    """What turns a frame and brings it to the encoder's pixels. CannotMend for a turn that is not by right angles."""
    from av.filter import Graph

    signs = tuple((cell > 0) - (cell < 0) for cell in matrix_of(first))
    if signs not in TURNS:
        raise CannotMend("its turn is not by right angles")
    graph = Graph()
    nodes = [graph.add_buffer(template=video)]
    nodes += [graph.add(name, how or None) for name, how in TURNS[signs]]
    nodes += [graph.add("format", pixels_for(first)), graph.add("buffersink")]
    graph.link_nodes(*nodes).configure()

    def turn(frame: VideoFrame) -> VideoFrame:
        graph.vpush(frame)
        return graph.vpull()

    return turn


def pixels_for(frame: VideoFrame) -> str:
    """The pixel format to encode: colours at half the size, as nearly all videos have them, need even sides."""
    return "yuv420p" if frame.width % 2 == 0 and frame.height % 2 == 0 else "yuv444p"


def encoding(
    output: OutputContainer, video: VideoStream, sample: VideoFrame, length: Fraction | None = None
) -> VideoStream:
    """The stream of the output for frames like this one; CannotMend where PyAV was built without an encoder.

    length: of each frame, in seconds; None for times as they are in `video`.
    """
    import av

    rate = 1 / length if length is not None else video.average_rate or video.guessed_rate
    known = ((name, options) for name, options in ENCODERS if name in av.codecs_available)
    name, options = next(known, ("", {}))
    if not name:
        raise CannotMend(f"PyAV has none of {', '.join(name for name, _ in ENCODERS)} here")
    stream = cast("VideoStream", output.add_stream(name, rate=rate, options=options))
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = sample.width, sample.height, sample.format.name
    base = length if length is not None else video.time_base
    if base is not None:
        context.time_base = base
    context.color_range, context.colorspace = sample.color_range, sample.colorspace
    context.color_primaries, context.color_trc = video.color_primaries, video.color_trc
    return stream
