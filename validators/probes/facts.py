"""What is known of a media file, as one table, and which of it changes what the model is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum

import polars as pl

from validators.settings import TrainerSettings


class Health(StrEnum):
    """Whether the trainer can use the file."""

    OK = "ok"
    MISSING = "missing"
    OUTSIDE = "outside"
    UNREADABLE = "unreadable"
    NO_STREAM = "no-stream"
    BROKEN = "broken"
    """A video whose header can be read and whose frames cannot all be decoded."""
    BOMB = "bomb"
    """More pixels than Pillow opens."""
    PLACEHOLDER = "placeholder"
    """A small text that stands for the file: a Git LFS pointer, a web page."""
    REMOTE = "remote"
    """An address that the trainer fetches itself; nothing is fetched here."""
    PLAYLIST = "playlist"
    """A list of other files that FFmpeg opens in its stead; nothing of it is followed here."""
    EMBEDDED = "embedded"
    """Bytes in the row or a list of frames: no file to probe."""


class Alteration(StrEnum):
    """A way in which the trainer shows the model something else than a person sees."""

    ROTATED = "rotated"
    """An EXIF orientation or a display matrix, which the trainer does not apply."""
    ALPHA = "alpha"
    """Pixels that a viewer shows transparent come out in their hidden colour."""
    ALPHA_RESIZED = "alpha-resized"
    """As ALPHA, but only if the trainer resizes the image: Pillow's resize turns transparent pixels black."""
    DEPTH = "depth"
    """Values of more than 8 bits are clipped at 255 instead of scaled."""
    FIRST_FRAME = "first-frame"
    """Only the first of several frames or pages is read."""
    FIRST_FRAMES = "first-frames"
    """Only the first video_maxlen frames of a stream without a frame count are read."""


class Trait(StrEnum):
    """What is unusual in a healthy file; most carry a number. Those of `--depth decode` come last."""

    CMYK = "cmyk"
    """Colours for print."""
    PROFILE = "profile"
    """A colour profile, and by how many of 255 steps it moves the colour that it moves most."""
    QUALITY = "quality"
    """A JPEG saved at this quality of 1 to 100, where that is low."""
    ANAMORPHIC = "anamorphic"
    """Pixels that players show this much wider than high."""
    HDR = "hdr"
    """A transfer function for bright screens, by its number in ISO/IEC 23091-2."""
    STREAMS = "streams"
    """So many video streams, where they are several."""
    DRIFT = "drift"
    """The largest distance, as a share of the duration, between a frame's time and that of an even rate."""
    BLANK = "blank"
    """One flat colour, over the whole picture or all frames."""
    GREY_TAIL = "grey-tail"
    """The share of a JPEG, from its bottom up, for which the file has no data."""
    FROZEN = "frozen"
    """All frames that were compared are alike."""
    DAMAGED = "damaged"
    """The number of the first frame at which the decoder meets an error and goes on."""
    INTERLACED = "interlaced"
    """The share of frames that are two half pictures of different times."""
    LOUDNESS = "loudness"
    """Root mean square in dB below full scale, where that is low."""
    NOT_FINITE = "not-finite"
    """Samples that are no numbers, or endless ones."""
    CLIPPED = "clipped"
    """The share of samples at full scale."""
    CANCELLED = "cancelled"
    """By how many dB the mean of the channels is softer than the channels are."""
    SHORTENED = "shortened"
    """Seconds that the header states, where decoding gives clearly less."""
    PARTLY = "partly"
    """Not decoded whole; the number is what was decoded: frames, samples, or 0 pixels."""


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Header facts of one file; what does not apply to its kind is 0 or null.

    width, height: pixels as the trainer sees them (no EXIF turn). frames: the container's own count, 0 where it has
    none. decoded: frames that decoding really gives, only where it was counted (at most MAX_COUNTED). duration:
    seconds, None where the stream has none. fps: frames a second, 0 where the stream has no average rate. rate: audio
    samples a second. samples: audio samples a channel. altered: what may be altered, Alteration values joined by
    commas; `alterations` decides with the run's settings. traits: Trait values joined by commas, with their numbers:
    `hdr=16,frozen`. form: the file's format, as Pillow or FFmpeg names it. listed: the frames of a video that is given
    as a list of pictures; the trainer samples none of them.
    """

    health: Health
    detail: str = ""
    width: int = 0
    height: int = 0
    frames: int = 0
    decoded: int | None = None
    duration: float | None = None
    fps: float = 0.0
    rate: int = 0
    samples: int = 0
    altered: str = ""
    traits: str = ""
    form: str = ""
    listed: tuple[MediaFacts, ...] = ()


def of_frames(frames: Sequence[MediaFacts], settings: TrainerSettings) -> MediaFacts:
    """The facts of a video given as a list of pictures: health, and size, of the first that is not well, else of the
    first; altered in every way in which one of them is, under the limits of videos."""
    first = next((facts for facts in frames if facts.health is not Health.OK), frames[0])
    limits = replace(settings, image_max_pixels=settings.video_max_pixels, image_min_pixels=settings.video_min_pixels)
    altered = dict.fromkeys(word for facts in frames for word in alterations(facts, limits))
    altered_words = ",".join(altered)
    return replace(
        first, frames=len(frames), decoded=len(frames), altered=altered_words, traits="", form="", listed=tuple(frames)
    )


def as_traits(found: Mapping[Trait, float | None]) -> str:
    """Traits as MediaFacts holds them; None for one without a number."""
    return ",".join(f"{trait}={value:.6g}" if value is not None else trait.value for trait, value in found.items())


def traits_of(text: str) -> dict[Trait, float]:
    """The traits of a file with their numbers, 0 for those without."""
    pairs = (word.partition("=") for word in text.split(",") if word)
    return {Trait(name): float(value or 0) for name, _, value in pairs}


def with_traits(facts: MediaFacts, more: Mapping[Trait, float | None]) -> MediaFacts:
    """The facts with more traits."""
    return replace(facts, traits=",".join(filter(None, (facts.traits, as_traits(more))))) if more else facts


def alterations(facts: MediaFacts, settings: TrainerSettings) -> tuple[Alteration, ...]:
    """What of a healthy file the trainer alters under these settings (llamafactory 0.9.5, mm_plugin.py).

    `_preprocess_image` resizes before it converts to RGB, and `_get_video_sample_indices` takes the first
    video_maxlen frames where the stream states no count.
    """
    if facts.health is not Health.OK:
        return ()
    found = [Alteration(word) for word in facts.altered.split(",") if word]
    if Alteration.ALPHA_RESIZED in found:
        found.remove(Alteration.ALPHA_RESIZED)
        area = facts.width * facts.height
        if area > settings.image_max_pixels or area < settings.image_min_pixels:
            found.append(Alteration.ALPHA)
    if facts.frames == 0 and facts.decoded is not None and facts.decoded > settings.video_maxlen:
        found.append(Alteration.FIRST_FRAMES)
    return tuple(found)


def facts_schema() -> pl.Schema:
    """The columns that MediaFacts becomes."""
    types: dict[str, pl.DataType] = {
        "health": pl.String(),
        "detail": pl.String(),
        "width": pl.Int64(),
        "height": pl.Int64(),
        "frames": pl.Int64(),
        "decoded": pl.Int64(),
        "duration": pl.Float64(),
        "fps": pl.Float64(),
        "rate": pl.Int64(),
        "samples": pl.Int64(),
        "altered": pl.String(),
        "traits": pl.String(),
        "form": pl.String(),
    }
    return pl.Schema({item.name: types[item.name] for item in fields(MediaFacts) if item.name in types})
