"""Media files that are the same, or nearly, and the groups that they make."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from curate.steps.columns import probes
from curate.steps.groups import Groups
from curate.steps.sightings import Sighting, near_sightings, sighting_of
from curate.steps.soundprint import SoundPrint, print_of, sound_candidates, sound_likeness
from validators.model import MediaKind
from validators.probes.cache import ProbeCache, locate
from validators.probes.facts import Health
from validators.traces.copies import same_bytes
from validators.traces.pictures import Copies, Pair, copy_of, near

T = TypeVar("T")
EXACT = 1.0
LENGTH, LENGTH_SECONDS = 0.05, 0.5  # by which lengths may differ, the larger of both


@dataclass(frozen=True, slots=True)
class Twins:
    """The group of each path, and the likeness of pairs of files that were found."""

    group: Mapping[str, int]
    home: Mapping[str, str]
    """Paths that lead to the same bytes have one home."""
    share: Mapping[tuple[str, str], float]

    def likeness(self, one: str, other: str) -> float | None:
        """Of two paths of a group; 1 for the same bytes, None where they hang together by others."""
        left, right = sorted((self.home[one], self.home[other]))
        return EXACT if left == right else self.share.get((left, right))


def find_twins(kind: MediaKind, paths: Iterable[str], root: Path, least: float) -> Twins:
    """The twins of one modality. least: from which likeness on two are one; EXACT: only by bytes.

    A path that leads to no file under the root is like itself only.
    """
    inside = ProbeCache()
    home: dict[str, str] = {}
    files: dict[str, list[str]] = {}
    for path in sorted(set(paths)):
        located = None if inside.is_outside(path, root) else locate(path, root)
        if located is None:
            home[path] = path
        else:
            files.setdefault(located[0], []).append(path)
    first = dict(same_bytes(files))
    home |= {path: first.get(file, file) for file, names in files.items() for path in names}
    places = sorted(set(home.values()))
    number = {place: at for at, place in enumerate(places)}
    groups = Groups(len(places))
    share: dict[tuple[str, str], float] = {}
    if least < EXACT:
        for one, other, likeness in NEAR[kind]([place for place in places if place in files], least):
            left, right = sorted((one, other))
            share[left, right] = likeness
            groups.unite(number[left], number[right])
    return Twins({path: groups.root(number[place]) for path, place in home.items()}, home, share)


def known(
    files: Sequence[str], feature: Callable[[str, int, int], T | None], key: Callable[[T], bytes]
) -> list[tuple[str, T]]:
    """Files that have a feature, in the order of that, not of their names."""

    def of(file: str) -> T | None:
        try:
            status = os.stat(file)  # noqa: PTH116 - once a file
        except OSError:
            return None
        return feature(file, status.st_size, status.st_mtime_ns)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = zip(files, pool.map(of, files), strict=True)
        return sorted(((file, item) for file, item in made if item is not None), key=lambda pair: key(pair[1]))


@lru_cache(maxsize=1 << 17)
def image_copy(file: str, size: int, mtime: int) -> Copies | None:
    """An image's small copy; once a file for all steps of a build."""
    return copy_of(Path(file))


@lru_cache(maxsize=1 << 13)
def video_sighting(file: str, size: int, mtime: int) -> Sighting | None:
    """A video's frames."""
    facts = probes().facts(MediaKind.VIDEO, file, Path("/"))
    return sighting_of(Path(file), facts) if facts.health is Health.OK else None


@lru_cache(maxsize=1 << 14)
def audio_print(file: str, size: int, mtime: int) -> SoundPrint | None:
    """A sound's print."""
    return print_of(Path(file))


def near_images(files: Sequence[str], least: float) -> Iterator[tuple[str, str, float]]:
    """Pairs of images."""
    have = known(files, image_copy, lambda copy: copy.tobytes())
    if have:
        yield from named(have, near(np.stack([copy for _, copy in have]), least))


def near_videos(files: Sequence[str], least: float) -> Iterator[tuple[str, str, float]]:
    """Pairs of videos of one length, of which all frames that were taken are alike."""
    have = known(files, video_sighting, lambda item: item.copies.tobytes())
    for one, other, share in near_sightings([item for _, item in have], least):
        if long_as(have[one][1].seconds, have[other][1].seconds):
            yield have[one][0], have[other][0], share


def near_audios(files: Sequence[str], least: float) -> Iterator[tuple[str, str, float]]:
    """Pairs of sounds of one length."""
    have = known(files, audio_print, lambda item: item.bits.tobytes())
    for one, other in zip(*sound_candidates([item for _, item in have]), strict=True):
        left, right = have[one][1], have[other][1]
        if long_as(left.seconds, right.seconds) and (share := sound_likeness(left, right)) >= least:
            yield have[one][0], have[other][0], share


def named(have: Sequence[tuple[str, Copies]], pairs: Iterable[Pair]) -> Iterator[tuple[str, str, float]]:
    """Pairs of numbers as pairs of files."""
    for one, other, share in pairs:
        yield have[one][0], have[other][0], share


def long_as(one: float, other: float) -> bool:
    """Whether two lengths are near."""
    return abs(one - other) <= max(LENGTH_SECONDS, LENGTH * max(one, other))


NEAR: Mapping[MediaKind, Callable[[Sequence[str], float], Iterator[tuple[str, str, float]]]] = {
    MediaKind.IMAGE: near_images,
    MediaKind.VIDEO: near_videos,
    MediaKind.AUDIO: near_audios,
}
