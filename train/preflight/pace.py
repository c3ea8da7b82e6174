"""How long the trainer will prepare the data, from a short measurement of the run's own media on this machine.

The trainer prepares each row once before training, on one process of each node, while the others wait (llamafactory
0.9.5, data/loader.py: get_dataset). It opens each picture, resizes it and turns it into numbers; decodes each video
from its start, whatever frames it takes; decodes each sound (data/mm_plugin.py); and encodes each turn.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar

from train.preflight.figures import Range
from train.preflight.machine import Machine
from train.preflight.survey import Sample, Survey
from train.watch import duration
from validators.budgets.text import find_tokenizer
from validators.budgets.vocabulary import embedded
from validators.model import MediaKind
from validators.replay.arguments import Arguments
from validators.settings import TrainerSettings

if TYPE_CHECKING:
    from PIL import Image

Item = TypeVar("Item")
SECONDS = 3.0  # at most so long for each kind
HIGH = 3.0
"""By how much the real work may be more than what is timed: the processor's own copies, rows built in Python, and
Arrow's writing are not timed here."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One kind of work: how many there are, how many were timed, and seconds for each."""

    what: str
    count: int
    timed: int
    each: float

    @property
    def seconds(self) -> float:
        """For all of them, on one process."""
        return self.count * self.each


@dataclass(frozen=True, slots=True)
class Pace:
    """The whole preparation, in seconds."""

    parts: tuple[Timed, ...]
    workers: int
    seconds: Range
    timeout: float
    waits: bool
    """Whether other processes wait for it."""

    @property
    def too_long(self) -> bool:
        """Whether those may give up."""
        return self.waits and self.seconds.high >= self.timeout


def measure(settings: TrainerSettings, survey: Survey, machine: Machine) -> Pace:
    """Time some media and texts of the run, a few seconds at most."""
    arguments = Arguments(settings.raw, trainer=settings.trainer)
    work: dict[MediaKind, Callable[[Sample, TrainerSettings], None]] = {
        MediaKind.IMAGE: prepare_image,
        MediaKind.VIDEO: prepare_video,
        MediaKind.AUDIO: prepare_audio,
    }
    parts = []
    for kind, prepare in work.items():
        if survey.media[kind]:
            timed = timing(survey.samples.get(kind, ()), lambda item, run=prepare: run(item, settings))  # type: ignore[misc]
            parts.append(Timed(kind.column, survey.media[kind], *timed))
    counter = find_tokenizer(settings.model, settings.tokenizer) or embedded(settings.model, settings.template or "")
    if counter is not None:
        parts.append(Timed("turns", survey.turns, *timing(survey.texts, lambda text: counter.counts([text]))))
    workers = min(arguments.whole("preprocessing_num_workers", 1), os.cpu_count() or 1)
    low = sum(part.seconds for part in parts) / workers
    timeout = arguments.number("ddp_timeout")
    return Pace(
        tuple(parts), workers, Range(low, HIGH * low), 1800.0 if timeout is None else float(timeout), machine.world > 1
    )


def timing(items: Sequence[Item], run: Callable[[Item], object]) -> tuple[int, float]:
    """How many were run in SECONDS, and the mean of their seconds; what cannot be read is left out."""
    done, spent = 0, 0.0
    for item in items:
        start = time.perf_counter()
        try:
            run(item)
        except Exception:
            continue  # the check names what is broken
        spent += time.perf_counter() - start
        done += 1
        if spent > SECONDS:
            break
    return done, spent / done if done else 0.0


def prepare_image(item: Sample, settings: TrainerSettings) -> None:
    """Open, resize and normalise a picture."""
    from PIL import Image

    with Image.open(item.file) as image:
        to_numbers(image, settings.image_max_pixels)


def to_numbers(image: Image.Image, most: int) -> None:
    """Resize to the limit, and bring 8-bit values to numbers around 0, channels first."""
    import numpy as np

    if image.width * image.height > most:
        factor = (most / (image.width * image.height)) ** 0.5
        image = image.resize((max(int(image.width * factor), 1), max(int(image.height * factor), 1)))
    values = np.asarray(image.convert("RGB"), dtype=np.float32)
    np.ascontiguousarray(((values / 255 - 0.5) / 0.5).transpose(2, 0, 1))


def prepare_video(item: Sample, settings: TrainerSettings) -> None:
    """Decode a video to its end, and prepare as many frames as the trainer takes of it."""
    import av

    with av.open(str(item.file)) as container:
        stream = container.streams.video[0]
        seconds = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        wanted = min(settings.video_maxlen, max(1, int(seconds * settings.video_fps)))
        step = max((stream.frames or wanted) // wanted, 1)
        for number, frame in enumerate(container.decode(stream)):
            if number % step == 0 and number // step < wanted:
                image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
                to_numbers(image, settings.video_max_pixels)


def prepare_audio(item: Sample, settings: TrainerSettings) -> None:
    """Decode a sound at the trainer's rate."""
    import av

    resampler = av.AudioResampler(format="flt", layout="mono", rate=settings.audio_sampling_rate)
    with av.open(str(item.file)) as container:
        for frame in container.decode(audio=0):
            resampler.resample(frame)


def advice(pace: Pace) -> str:
    """What to do where processes may give up waiting; "" where they do not."""
    if not pace.too_long:
        return ""
    return (
        f"the other processes give up after ddp_timeout, {duration(pace.timeout)}: prepare the data once with "
        "tokenized_path on one process, or raise ddp_timeout and preprocessing_num_workers"
    )


def as_json(pace: Pace) -> Mapping[str, object]:
    """For programs, in seconds."""
    return asdict(pace) | {"too_long": pace.too_long}
