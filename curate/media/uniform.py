"""Media made uniform on their way into the store: upright, RGB, no larger than a side, MP4, 16 kHz mono.

A file that is so already, or that cannot be made so, stays as it is; in the second case the words say why. Several
frames or pages, and depths above 8 bits, are left: which frame, or which value is white, the file does not tell.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.media.keeper import Change, Changed
from validators.model import MediaKind
from validators.probes.facts import Health
from validators.probes.image import ALPHA_MODES, OPAQUE_MODES, ORIENTATION, has_later_frames
from validators.probes.opening import is_dangerous
from validators.probes.video import probe_video, reason_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from PIL.Image import Image as PillowImage

MAX_PIXELS = 1 << 27
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
JPEG_QUALITY = 95
SAMPLE_RATE = 16_000
MAX_SAMPLES = SAMPLE_RATE * 3600 * 12
MP4, MONO = "mp4", "16k-mono"
MP4_FAMILY = "mov,mp4,m4a,3gp,3g2,mj2"
# FFmpeg's demuxers of single files: those of playlists would open whatever a file names
DEMUXERS = "aac,aiff,asf,avi,flac,flv,matroska,mov,mp3,mpeg,mpegts,mpegvideo,ogg,w64,wav"
OPENING = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS, "fflags": "+genpts"}


class Left(Exception):
    """Why a file stays as it is."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """What is wanted. max_side: of a picture, in pixels. remux: a container for videos. audio: a form for sounds."""

    exif: bool = False
    rgb: bool = False
    max_side: int | None = None
    remux: str | None = None
    audio: str | None = None

    def change(self) -> Change:
        """How the store is to change each file."""
        makers = {MediaKind.IMAGE: self.picture, MediaKind.VIDEO: self.video, MediaKind.AUDIO: self.sound}

        def make(kind: MediaKind, source: Path, folder: Path) -> Changed | None:
            try:
                return makers[kind](source, folder)
            except Left as reason:
                return Changed(None, f"left as it is: {reason}")
            except Exception as error:  # decoders and encoders raise what they like; the check will say what is wrong
                return Changed(None, f"left as it is: {reason_of(error) or type(error).__name__}")

        return make

    def picture(self, source: Path, folder: Path) -> Changed | None:
        """A picture upright, in RGB over white, within the side."""
        from PIL import Image, ImageOps

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(source, formats=IMAGE_FORMATS) as image:
                turn = self.exif and image.getexif().get(ORIENTATION, 1) in range(2, 9)
                recolour = self.rgb and image.mode != "RGB"
                large = self.max_side is not None and max(image.size) > self.max_side
                if not (turn or recolour or large):
                    return None
                if image.width * image.height > MAX_PIXELS:
                    raise Left(f"more than {MAX_PIXELS} pixels")
                if has_later_frames(image, image.format or ""):
                    raise Left("several frames or pages")
                words = []
                made: PillowImage = image
                if turn:
                    made = ImageOps.exif_transpose(made)
                    words.append("turned upright")
                if recolour:
                    made, said = opaque(made)
                    words.append(said)
                if large and self.max_side is not None:
                    before = f"{made.width} × {made.height}"
                    made = made.copy()
                    made.thumbnail((self.max_side, self.max_side), Image.Resampling.LANCZOS)
                    words.append(f"{before} to {made.width} × {made.height}")
                lossy = image.format in ("JPEG", "MPO") and made.mode in ("RGB", "L", "CMYK")
                # the tag goes with the turn; where nothing was turned it has to stay
                exif = made.getexif().tobytes() if made.getexif().get(ORIENTATION, 1) != 1 else b""
                kept: dict[str, Any] = {"exif": exif} if exif else {}
                kept |= {"icc_profile": image.info.get("icc_profile")} if made.mode == image.mode else {}
                copy = folder / f"copy.{'jpg' if lossy else 'png'}"
                if lossy:
                    made.save(copy, "JPEG", quality=JPEG_QUALITY, subsampling=0, **kept)
                else:
                    made.save(copy, "PNG", **kept)
        return Changed(copy, ", ".join(words))

    def video(self, source: Path, folder: Path) -> Changed | None:
        """A video's streams as they are, in an MP4, whose header states the number of frames."""
        import av

        refuse_pictures(source)
        with av.open(str(source), container_options=OPENING) as container:
            if self.remux != MP4 or container.format.name == MP4_FAMILY:
                return None
            copy = folder / "copy.mp4"
            frames = copy_streams(container, copy)
        facts = probe_video(copy)
        if facts.health is not Health.OK or facts.frames != frames:
            raise Left(f"an MP4 would state {facts.frames} frames for {frames} {facts.detail}".rstrip())
        return Changed(copy, f"copied into an MP4 of {frames} frames")

    def sound(self, source: Path, folder: Path) -> Changed | None:
        """A sound as WAV of 16 bits at 16 kHz with one channel."""
        if self.audio != MONO or is_uniform(source):
            return None
        import numpy as np
        import soundfile

        copy = folder / "copy.wav"
        total = 0
        with soundfile.SoundFile(copy, "w", SAMPLE_RATE, 1, "PCM_16", format="WAV") as out:
            for samples in resampled(source):
                total += len(samples)
                if total > MAX_SAMPLES:
                    raise Left(f"longer than {MAX_SAMPLES // SAMPLE_RATE // 3600} hours")
                out.write(np.ascontiguousarray(samples))
        if not total:
            raise Left("no sound in it")
        return Changed(copy, "16 kHz mono")


def opaque(image: PillowImage) -> tuple[PillowImage, str]:
    """A picture in RGB, laid on white where it is transparent."""
    from PIL import Image

    if image.mode in ALPHA_MODES or "transparency" in image.info:
        clear = image.convert("RGBA")
        page = Image.new("RGBA", clear.size, "white")
        page.alpha_composite(clear)
        return page.convert("RGB"), f"{image.mode} laid on white"
    if image.mode not in OPAQUE_MODES:
        raise Left(f"{image.mode} has more than 8 bits")
    return image.convert("RGB"), f"{image.mode} made RGB"


def copy_streams(container: InputContainer, target: Path) -> int:
    """Copy the first video and all sound into an MP4; the number of its frames."""
    import av

    frames = 0
    video = container.streams.video[0]
    wanted = [video, *container.streams.audio]
    options = {"movflags": "+faststart", "fflags": "+bitexact"}  # bitexact: no version of FFmpeg in the file
    with av.open(str(target), "w", format=MP4, options=options) as output:
        copies = {stream.index: output.add_stream_from_template(stream, opaque=True) for stream in wanted}
        for packet in container.demux(*wanted):
            if not packet.size:
                continue
            if packet.dts is None or packet.pts is None:
                raise Left("packets without times")
            frames += packet.stream.index == video.index
            packet.stream = copies[packet.stream.index]
            output.mux(packet)
    return frames


def is_uniform(source: Path) -> bool:
    """Whether a file is such a WAV already."""
    import soundfile

    try:
        facts = soundfile.info(str(source))
    except soundfile.LibsndfileError:
        return False
    return (facts.format, facts.subtype, facts.samplerate, facts.channels) == ("WAV", "PCM_16", SAMPLE_RATE, 1)


def refuse_pictures(source: Path) -> None:
    """Raise Left for a still picture in place of a video or sound."""
    if is_dangerous(source):
        raise Left("a still picture, on which FFmpeg may end the process")


def resampled(source: Path) -> Iterator[Any]:
    """The first sound's samples at 16 kHz, one channel, 16 bits, a piece at a time."""
    import av

    refuse_pictures(source)
    with av.open(str(source), container_options=OPENING) as container:
        if not container.streams.audio:
            raise Left("no sound in it")
        resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
        for frame in container.decode(container.streams.audio[0]):
            for piece in resampler.resample(frame):
                yield piece.to_ndarray()[0]
        for piece in resampler.resample(None):
            yield piece.to_ndarray()[0]
