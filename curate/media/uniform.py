"""Media made uniform on their way into the store: upright, RGB, no larger than a side, MP4, 16 kHz mono.

A file that is so already, or that cannot be made so, stays as it is; in the second case the words say why. Several
frames or pages, and depths above 8 bits, are left: which frame, or which value is white, the file does not tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from curate.media.keeper import Change, Changed
from curate.media.make.containers import read, stated_frames
from curate.media.make.flat import in_rgb
from curate.media.make.mono import is_mono, save_mono
from curate.media.make.pictures import SUFFIXES, format_for, opened, save, see_single
from curate.media.make.refusal import CannotMake
from curate.media.make.streams import copy_streams
from curate.media.make.turn import upright
from validators.model import MediaKind
from validators.probes.facts import Health
from validators.probes.image import is_turned
from validators.probes.video import probe_video, reason_of

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

MP4, MONO = "mp4", "16k-mono"
MP4_FAMILY = "mov,mp4,m4a,3gp,3g2,mj2"
TIMED = ("matroska,webm", "flv")
"""Containers that state their length, and not the number of their frames."""
MOST = 0.95
"""Share of that length that has to be there: a video that was cut off is not to look whole."""


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
            except Exception as error:  # decoders and encoders raise what they like; the check will say what is wrong
                return Changed(None, f"left as it is: {reason_of(error) or type(error).__name__}")

        return make

    def picture(self, source: Path, folder: Path) -> Changed | None:
        """A picture upright, in RGB over white, within the side; where a JPEG's pixels stay, its losses are not made
        twice, and all else is saved without loss."""
        from PIL import Image

        with opened(source) as image:
            turn = self.exif and is_turned(image)
            recolour = self.rgb and image.mode != "RGB"
            large = self.max_side is not None and max(image.size) > self.max_side
            if not (turn or recolour or large):
                return None
            see_single(image)
            words, baked = [], 1
            made: PillowImage = image
            if turn:
                made, baked = upright(image)
                words.append("turned upright")
            if recolour:
                made, said = in_rgb(made)
                words.append(said)
            if large and self.max_side is not None:
                before = f"{made.width} × {made.height}"
                made = made.copy()
                made.thumbnail((self.max_side, self.max_side), Image.Resampling.LANCZOS)
                words.append(f"{before} to {made.width} × {made.height}")
            kind = format_for(image, made.mode, lossless=True)
            copy = folder / f"copy{SUFFIXES[kind][0]}"
            save(made, image, copy, kind, baked, anew=large)
        return Changed(copy, ", ".join(words))

    def video(self, source: Path, folder: Path) -> Changed | None:
        """A video's streams as they are, in an MP4, whose header states the number of frames."""
        with read(source) as container:
            if self.remux != MP4 or container.format.name == MP4_FAMILY:
                return None
            stated = container.duration if container.format.name in TIMED else None
        copy = folder / "copy.mp4"
        frames, left_out = copy_streams(source, copy, whole=True)
        promised = stated_frames(source)
        if promised > frames:
            raise CannotMake(f"only {frames} of its {promised} frames can be reached")
        with read(copy) as container:
            share = (container.duration or 0) / stated if stated else 1.0
        if share < MOST:
            raise CannotMake(f"only {share:.0%} of its length can be reached")
        facts = probe_video(copy)
        if facts.health is not Health.OK or facts.frames != frames:
            raise CannotMake(f"an MP4 would state {facts.frames} frames for {frames} {facts.detail}".rstrip())
        return Changed(copy, f"copied into an MP4 of {frames} frames{left_out}")

    def sound(self, source: Path, folder: Path) -> Changed | None:
        """A sound as WAV of 16 bits at 16 kHz with one channel."""
        if self.audio != MONO or is_mono(source):
            return None
        copy = folder / "copy.wav"
        save_mono(source, copy)
        return Changed(copy, "16 kHz mono")
