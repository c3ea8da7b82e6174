"""Videos from end to end: the frames that really decode, and whether they show anything."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from validators.probes.facts import Health, MediaFacts, Trait, with_traits
from validators.probes.opening import opened
from validators.probes.video import MAX_COUNTED, MAX_PIXELS, drift_of, reason_of

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame

COMPARED = 64  # frames compared at most, evenly over the stream
STEP = 8  # between them, where the stream states no count
SIDE = 96  # of the grey copies that are compared
EVEN = frozenset({"avi"})  # containers that know one rate and no times; those of the frames are guesses
FLAT = 3  # of 255: a colour that compression has ruffled
ALIKE, ALIKE_MEAN = 8, 0.5  # of 255, at most and in the mean: what compression changes between copies of a picture


@dataclass(slots=True)
class Watched:
    """What was seen of a video so far."""

    step: int
    count: int = 0
    interlaced: int = 0
    compared: int = 0
    flat: bool = True
    alike: bool = True
    whole: bool = True
    first: np.ndarray | None = None
    times: list[float] = field(default_factory=list)

    def see(self, frame: VideoFrame) -> None:
        """Take one frame in."""
        if frame.time is not None:
            self.times.append(frame.time)
        self.interlaced += bool(frame.interlaced_frame)
        if self.count % self.step == 0 and (self.flat or self.alike):
            self.compare(frame)
        self.count += 1

    def compare(self, frame: VideoFrame) -> None:
        """Hold a small grey copy against that of the first frame."""
        import numpy as np

        small = frame.reformat(width=SIDE, height=SIDE, format="gray").to_ndarray().astype(np.int16)
        if self.first is None:
            self.first = small
        difference = np.abs(small - self.first)
        most = int(difference.max())
        self.compared += 1
        self.alike &= most <= ALIKE and float(difference.mean()) <= ALIKE_MEAN
        self.flat &= most <= FLAT and int(small.max() - small.min()) <= FLAT


def examine_video(path: Path, facts: MediaFacts) -> MediaFacts:
    """The facts after decoding: the frames that there are, or why decoding stops; what is unusual in them.

    The first reading ends at the first error that the decoder reports. Most errors do not end the trainer's, which
    goes on with what the decoder makes up, and so a second reading tells what the trainer gets.
    """
    import av

    damaged: dict[Trait, float | None] = {}
    try:
        try:
            seen = watch(path, facts, strict=True)
        except Stopped as stopped:
            damaged = {Trait.DAMAGED: stopped.count}
            seen = watch(path, facts, strict=False)
    except Stopped as stopped:
        return replace(facts, health=Health.BROKEN, detail=f"{stopped.reason}, after {stopped.count} frames")
    except (av.FFmpegError, OSError, ValueError) as error:
        return replace(facts, health=Health.BROKEN, detail=reason_of(error))
    if not seen.count:
        return replace(facts, health=Health.BROKEN, detail="no frame can be decoded")
    traits = damaged | picture_traits(seen)
    if not seen.whole:
        return with_traits(facts, traits | {Trait.PARTLY: seen.count})
    if Trait.DRIFT.value not in facts.traits and facts.form not in EVEN and (drift := drift_of(seen.times)) is not None:
        traits |= {Trait.DRIFT: drift}
    return with_traits(replace(facts, decoded=seen.count), traits)


def picture_traits(seen: Watched) -> dict[Trait, float | None]:
    """What the frames show."""
    found: dict[Trait, float | None] = {}
    if seen.interlaced:
        found[Trait.INTERLACED] = seen.interlaced / seen.count
    if seen.compared > 1 and seen.flat:
        found[Trait.BLANK] = None
    elif seen.compared > 1 and seen.alike:
        found[Trait.FROZEN] = None
    return found


class Stopped(Exception):
    """Decoding ended early, after `count` frames."""

    def __init__(self, count: int, reason: str) -> None:
        super().__init__(reason)
        self.count = count
        self.reason = reason


def watch(path: Path, facts: MediaFacts, strict: bool) -> Watched:
    """Decode all frames, as the trainer does; strict: stop at errors that the decoder would smooth over.

    Raises Stopped.
    """
    import av

    seen = Watched(step=max(1, facts.frames // COMPARED) if facts.frames else STEP)
    pixels = max(1, facts.width * facts.height)
    with opened(path) as container:
        stream = container.streams.video[0]
        if strict:
            stream.codec_context.options = {"err_detect": "explode"}
        container.seek(0)
        try:
            for frame in container.decode(stream):
                seen.see(frame)
                if seen.count >= MAX_COUNTED or seen.count * pixels > MAX_PIXELS:
                    seen.whole = False
                    break
        except (av.FFmpegError, OSError, ValueError) as error:
            raise Stopped(seen.count, reason_of(error)) from error
    return seen
