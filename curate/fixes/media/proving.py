"""A mended copy is looked at with the probe that found the fault, and kept only if the fault is gone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from curate.fixes.protocol import CannotMend
from validators.model import MediaKind
from validators.probes.audio import probe_audio
from validators.probes.facts import Alteration, Health, MediaFacts
from validators.probes.image import probe_image
from validators.probes.video import probe_video, reason_of

PROBES: Mapping[MediaKind, Callable[[Path], MediaFacts]] = {
    MediaKind.IMAGE: probe_image,
    MediaKind.VIDEO: probe_video,
    MediaKind.AUDIO: probe_audio,
}
MOST = 0.95
"""Share of a broken medium that must be left: what its answer tells is then most likely still in it."""
MAX_BYTES = 1 << 32
"""Size of a source, and of a copy, at most."""

Change = Callable[[Path, Path], str]
"""Writes the changed copy of the first path to the second, which may be left half written where it raises."""
Sick = Callable[[MediaFacts], bool]
"""Whether a file with these facts has the fault."""


@dataclass(frozen=True, slots=True)
class Proved:
    """A change whose result is probed before it gets its name; a MakeMedium."""

    kind: MediaKind
    sick: Sick
    change: Change

    def __call__(self, source: Path, destination: Path) -> str:
        """Make the copy, whole or not at all; says what was done."""
        part = destination.with_name(f".{destination.name}.part")
        try:
            if source.stat().st_size > MAX_BYTES:
                raise CannotMend(f"larger than {MAX_BYTES >> 30} GiB")
            before = PROBES[self.kind](source)
            if not self.sick(before):
                raise CannotMend(before.detail or "nothing to mend")
            words = self.change(source, part)
            self.prove(part)
            flush(part)
            part.replace(destination)
        except CannotMend:
            raise
        except Exception as error:  # decoders and encoders raise what they like
            raise CannotMend(reason_of(error) or type(error).__name__) from error
        finally:
            part.unlink(missing_ok=True)
        return words

    def prove(self, copy: Path) -> None:
        """CannotMend unless the copy can be read and is free of the fault."""
        after = PROBES[self.kind](copy)
        if after.health is not Health.OK:
            raise CannotMend(f"its copy cannot be read: {after.detail}")
        if self.sick(after):
            raise CannotMend("its copy has the same fault")


def flush(path: Path) -> None:
    """Write a file's content to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def altered_by(*what: Alteration) -> Sick:
    """Whether the trainer alters a healthy file in one of these ways."""
    return lambda facts: facts.health is Health.OK and any(word in facts.altered.split(",") for word in what)


def unusable(facts: MediaFacts) -> bool:
    """Whether the file cannot be read, or not to its end."""
    return facts.health in (Health.UNREADABLE, Health.BROKEN)
