"""The numbers from which rules speak, and what says so: one declaration for defaults, configuration and reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from difflib import get_close_matches
from math import isfinite
from typing import Any

from validators.errors import UsageFault


def number(default: float, words: str, least: float = 0.0, most: float = 1e12) -> Any:  # noqa: ANN401 - as field()
    """A threshold: its default, what it means and why that default, and its bounds, both included."""
    return field(default=default, metadata={"words": words, "least": least, "most": most})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Every rule's numbers. A name is written with hyphens in configuration."""

    max_repeats: float = number(
        10,
        "TXT303: how often the end of an answer may be said in a row. Refrains and lists stay below; a model in a loop "
        "goes on to its limit.",
        least=4,
    )
    min_blob_length: float = number(
        256,
        "TXT304: the length of a run of base64 that is no word, hash, key or link any more.",
        least=120,
    )
    min_image_side: float = number(
        16, "IMG305: the shortest side, in pixels, below which an image is too small to learn from.", least=1
    )
    max_aspect_ratio: float = number(
        20, "IMG306: the ratio of an image's sides above which resizing leaves strips that nobody can read.", least=1
    )
    max_downscale: float = number(
        25, "IMG307: how often image_max_pixels may fit into an image. Photographs of 12 megapixels pass.", least=1
    )
    min_jpeg_quality: float = number(
        20, "IMG310: the quality, as libjpeg counts it, below which blocks hide what a JPEG shows.", least=1, most=50
    )
    min_grey_share: float = number(
        0.05, "IMG312: the share of a JPEG's height without data from which it is named.", most=1
    )
    max_sampling_gap: float = number(
        4, "VID304: how many times longer than video_fps says the time between two sampled frames may be.", least=1
    )
    max_time_drift: float = number(
        0.1, "VID306: how far sampled frames may stand from even times, as a share of the video.", least=0.02, most=1
    )
    max_interlaced_share: float = number(0.1, "VID309: the share of frames that may be interlaced.", most=1)
    min_sound_seconds: float = number(0.1, "AUD302: the length below which a sound is too short to be understood.")
    silence: float = number(
        -60, "AUD304: dB below full scale; softer sounds are silence. Rooms are louder.", least=-200, most=-30
    )
    max_clipped_share: float = number(
        0.01, "AUD305: the share of samples at full scale above which a sound is clipped.", least=0.001, most=1
    )
    max_cancellation: float = number(
        20, "AUD306: dB that a sound may lose when its channels are averaged.", least=6, most=200
    )
    short_answer_chars: float = number(
        32,
        "DUP303: the most characters that all answers of a row have together for another answer to the same question "
        "to contradict them; two longer ones can both be right.",
    )
    long_answer_chars: float = number(
        60,
        "DUP305, LEK303: the fewest characters that all answers of a row have together for its text to be its own; "
        "a shorter one is often said again.",
    )
    near_text_likeness: float = number(
        0.8,
        "DUP306, LEK306: the share, from 0 to 1, of strings of five characters that two texts must have in common; of "
        "texts that have 0.8, one pair in 4,000 is missed.",
        least=0.7,
        most=1,
    )
    near_image_likeness: float = number(
        0.98,
        "DUP308, LEK305: the correlation of two images, both shrunk to 16 × 16 grey pixels and freed of their mean and "
        "slope; a new size or compression leaves 0.99, a border cut off by a thirtieth 0.96 or less.",
        least=0.95,
        most=1,
    )
    min_mixture_rows: float = number(
        20, "MIX305, MIX306: the fewest rows of a dataset whose shares say anything.", least=2
    )
    max_dataset_share: float = number(
        0.95, "MIX301: the share of an epoch's rows, from 0 to 1, that one of several datasets may have.", most=1
    )
    min_dataset_share: float = number(
        0.005, "MIX302: the share of an epoch's rows, from 0 to 1, below which a dataset is hardly seen.", most=1
    )
    max_undrawn_share: float = number(
        0.5, "MIX303: the share of a dataset's rows, from 0 to 1, that interleaving may leave out.", most=1
    )
    max_draws: float = number(5, "MIX304: how often interleaving may draw a row in one epoch, on average.", least=1)
    max_answer_share: float = number(
        0.8,
        "MIX305: the share of a dataset's rows, from 0 to 1, that may have the same answer; of a yes and a no, one is "
        "always half.",
        most=1,
    )
    max_question_share: float = number(
        0.95, "MIX306: the share of a dataset's rows, from 0 to 1, that may ask the same question.", most=1
    )
    max_shared_share: float = number(
        0.01, "LEK307: the share of rows, from 0 to 1, that may have a partner in the hold-out of val_size.", most=1
    )


def name_of(item: Field[Any]) -> str:
    """A threshold's name in configuration."""
    return item.name.replace("_", "-")


FIELDS: Mapping[str, Field[Any]] = {name_of(item): item for item in fields(Thresholds)}


def thresholds_of(given: Iterable[tuple[str, object, str]]) -> Thresholds:
    """Thresholds from names and values; the third word says where each was written. The last of a name counts.

    UsageFault for an unknown name, with the nearest one, and for a value out of bounds.
    """
    values = {}
    for name, value, where in given:
        item = FIELDS.get(name)
        if item is None:
            near = get_close_matches(name.replace("_", "-"), list(FIELDS), n=1)
            cure = f"did you mean {near[0]!r}?" if near else ""
            raise UsageFault(where, f"no threshold {name!r}", f"one of {', '.join(FIELDS)}", cure)
        values[item.name] = bounded(item, value, where)
    return Thresholds(**values)


def bounded(item: Field[Any], value: object, where: str) -> float:
    """A number within a threshold's bounds."""
    least, most = item.metadata["least"], item.metadata["most"]
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and least <= value <= most:
        return float(value)
    raise UsageFault(where, f"{value!r}", f"a number from {least:g} to {most:g}")


def default_of(item: Field[Any]) -> float:
    """A threshold's default."""
    assert item.default is not MISSING
    return float(item.default)
