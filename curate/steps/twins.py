"""Media files that are the same, or nearly, and the groups that they make."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from curate.steps.columns import probes
from curate.steps.groups import Groups
from curate.steps.sightings import Sighting, near_sightings, sighting_of
from curate.steps.soundprint import SoundPrint, print_of, sound_candidates, sound_likeness
from curate.work.memory import Memory
from curate.work.states import stamp_of
from curate.work.work import code
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


def find_twins(kind: MediaKind, paths: Iterable[str], root: Path, least: float, memory: Memory | None = None) -> Twins:
    """The twins of one modality. least: from which likeness on two are one; EXACT: only by bytes.

    A path that leads to no file under the root is like itself only. memory: what earlier steps and builds decoded.
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
        for one, other, likeness in NEAR[kind](
            [place for place in places if place in files], least, memory or Memory()
        ):
            left, right = sorted((one, other))
            share[left, right] = likeness
            groups.unite(number[left], number[right])
    return Twins({path: groups.root(number[place]) for path, place in home.items()}, home, share)


@dataclass(frozen=True, slots=True)
class Look(Generic[T]):
    """What is compared of a modality's files: how it is found by decoding one, and how it is kept.

    order: of what was found, so that the order of the files' names does not count.
    """

    kind: MediaKind
    find: Callable[[str], T | None]
    pack: Callable[[T], bytes]
    unpack: Callable[[bytes], T]
    order: Callable[[T], bytes]


def known(look: Look[T], files: Sequence[str], memory: Memory) -> list[tuple[str, T]]:
    """Files that could be decoded, with what was found; what an earlier step or build found is not looked for again."""
    kept = {file: memory.look(file, look.kind, code()) for file in files}
    fresh = [file for file, packed in kept.items() if packed is None]
    have = [(file, look.unpack(packed)) for file, packed in kept.items() if packed]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        stamps = map(stamp_of, fresh)
        for file, stamp, item in zip(fresh, stamps, pool.map(look.find, fresh), strict=True):
            memory.know_look(file, look.kind, code(), stamp, b"" if item is None else look.pack(item))
            if item is not None:
                have.append((file, item))
    return sorted(have, key=lambda pair: look.order(pair[1]))


def image_copy(file: str) -> Copies | None:
    """An image's small copy."""
    return copy_of(Path(file))


def video_sighting(file: str) -> Sighting | None:
    """A video's frames."""
    facts = probes().facts(MediaKind.VIDEO, file, Path("/"))
    return sighting_of(Path(file), facts) if facts.health is Health.OK else None


def audio_print(file: str) -> SoundPrint | None:
    """A sound's print."""
    return print_of(Path(file))


def packed(**arrays: Any) -> bytes:  # noqa: ANN401 (what numpy takes for arrays)
    """Arrays by name as bytes."""
    target = BytesIO()
    np.savez(target, **arrays)
    return target.getvalue()


def unpacked(data: bytes) -> Mapping[str, Any]:
    """The arrays back."""
    with np.load(BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)


def sighting_from(data: bytes) -> Sighting:
    """A video's frames back."""
    arrays = unpacked(data)
    return Sighting(float(arrays["seconds"]), tuple(arrays["times"].tolist()), arrays["copies"])


def print_from(data: bytes) -> SoundPrint:
    """A sound's print back."""
    arrays = unpacked(data)
    return SoundPrint(float(arrays["seconds"]), arrays["bits"], arrays["heard"])


IMAGES = Look(
    MediaKind.IMAGE,
    image_copy,
    lambda item: item.tobytes(),
    lambda data: np.frombuffer(data, np.uint8),
    lambda item: item.tobytes(),
)
VIDEOS = Look(
    MediaKind.VIDEO,
    video_sighting,
    lambda item: packed(seconds=item.seconds, times=item.times, copies=item.copies),
    sighting_from,
    lambda item: item.copies.tobytes(),
)
AUDIOS = Look(
    MediaKind.AUDIO,
    audio_print,
    lambda item: packed(seconds=item.seconds, bits=item.bits, heard=item.heard),
    print_from,
    lambda item: item.bits.tobytes(),
)


def near_images(files: Sequence[str], least: float, memory: Memory) -> Iterator[tuple[str, str, float]]:
    """Pairs of images."""
    have = known(IMAGES, files, memory)
    if have:
        yield from named(have, near(np.stack([copy for _, copy in have]), least))


def near_videos(files: Sequence[str], least: float, memory: Memory) -> Iterator[tuple[str, str, float]]:
    """Pairs of videos of one length, of which all frames that were taken are alike."""
    have = known(VIDEOS, files, memory)
    for one, other, share in near_sightings([item for _, item in have], least):
        if long_as(have[one][1].seconds, have[other][1].seconds):
            yield have[one][0], have[other][0], share


def near_audios(files: Sequence[str], least: float, memory: Memory) -> Iterator[tuple[str, str, float]]:
    """Pairs of sounds of one length."""
    have = known(AUDIOS, files, memory)
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


NEAR: Mapping[MediaKind, Callable[[Sequence[str], float, Memory], Iterator[tuple[str, str, float]]]] = {
    MediaKind.IMAGE: near_images,
    MediaKind.VIDEO: near_videos,
    MediaKind.AUDIO: near_audios,
}
