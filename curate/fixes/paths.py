"""Media paths that name no file: the one file that they must mean, found again under the media root."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

from curate.fixes.protocol import CannotMend, Case, Mend
from curate.fixes.turns import at, put_in_row, steps
from validators.probes.cache import is_outside, locate
from validators.rules.fixable import Safety

MOST_FILES = 200_000
"""Files under the media root beyond which no index of names is made."""


def path_found(case: Case) -> Iterator[Mend]:
    """A path that names no file, by the one file under the media root that it can mean."""
    where = steps(case.place)
    given = at(case.value, where)
    if given is None and len(where) == 2 and where[1] == 0:
        where = where[:1]  # a path alone instead of a list
        given = at(case.value, where)
    if isinstance(given, str):
        new, safety = meant(given, case.media_dir)
        yield Mend(put_in_row(case.value, where, new), f"{given} → {new}", safety)
    elif isinstance(given, list) and given and all(isinstance(item, str) for item in given):
        lost = [item for item in given if locate(item, case.media_dir) is None]
        found = {item: meant(item, case.media_dir) for item in lost}
        frames = [found[item][0] if item in found else item for item in given]
        safe = all(safety is Safety.SAFE for _, safety in found.values())
        words = f"{len(lost)} frames found again, {lost[0]} → {found[lost[0]][0]}" if lost else ""
        yield Mend(put_in_row(case.value, where, frames), words, Safety.SAFE if safe else Safety.UNSAFE)


def meant(path: str, root: Path) -> tuple[str, Safety]:
    """The path, from the root, of the one file that it can mean; CannotMend where there is none, or there are more."""
    name = plain(path)
    if not name.parts:
        raise CannotMend("no file name")
    tails = [PurePosixPath(*name.parts[start:]) for start in range(len(name.parts))]
    for look in (under, alike):
        hits = {os.path.realpath(root / hit): hit for tail in tails if (hit := look(root, tail)) is not None}
        if len(hits) > 1:
            raise CannotMend(f"several files it can mean: {', '.join(sorted(hits.values())[:3])}")
        if hits:
            return next(iter(hits.values())), Safety.SAFE
    return elsewhere(name, root)


def elsewhere(name: PurePosixPath, root: Path) -> tuple[str, Safety]:
    """The one file of that name anywhere below the root; sure only where its folder has the same name too."""
    files = index(str(root))
    if files is None:
        raise CannotMend(f"more than {MOST_FILES} files under {root} to look through")
    hits = files.get(folded(name.name), ())
    if len(hits) > 1 and len(name.parts) > 1:
        hits = tuple(hit for hit in hits if folded(PurePosixPath(hit).parent.name) == folded(name.parts[-2]))
    if len(hits) != 1:
        raise CannotMend(f"{len(hits) or 'no'} files of that name under {root}")
    same_folder = len(name.parts) > 1 and folded(PurePosixPath(hits[0]).parent.name) == folded(name.parts[-2])
    return hits[0], Safety.SAFE if same_folder else Safety.UNSAFE


def plain(path: str) -> PurePosixPath:
    """Without an address's scheme, backslashes, white space around it, and steps that lead nowhere."""
    text = path.strip().removeprefix("file://").replace("\\", "/")
    parts = [part for part in text.split("/") if part not in ("", ".", "..")]
    return PurePosixPath(*(parts[1:] if parts and parts[0].endswith(":") else parts))


def under(root: Path, tail: PurePosixPath) -> str | None:
    """The tail where it is a file under the root."""
    found = locate(str(tail), root)
    return str(tail) if found is not None and (root / tail).is_file() and not is_outside(str(tail), root) else None


def alike(root: Path, tail: PurePosixPath) -> str | None:
    """The tail as the folders spell it, capitals and composed characters aside; None where two names are alike."""
    parts: list[str] = []
    for part in tail.parts:
        names = spellings(str(root.joinpath(*parts))).get(folded(part), ())
        if len(names) != 1:
            return None
        parts.append(names[0])
    return under(root, PurePosixPath(*parts))


def folded(name: str) -> str:
    """A name without what file systems may change about it."""
    return unicodedata.normalize("NFC", name).casefold()


def forget() -> None:
    """Look at the folders anew from here on."""
    spellings.cache_clear()
    index.cache_clear()


@lru_cache(maxsize=1 << 10)
def spellings(folder: str) -> Mapping[str, tuple[str, ...]]:
    """The names in a folder by their folded form."""
    names: dict[str, tuple[str, ...]] = {}
    try:
        for name in os.listdir(folder):  # noqa: PTH208
            names[folded(name)] = (*names.get(folded(name), ()), name)
    except OSError:
        return {}
    return names


@lru_cache(maxsize=4)
def index(root: str) -> Mapping[str, tuple[str, ...]] | None:
    """Paths from the root by folded file name; None for a root of too many files."""
    files: dict[str, tuple[str, ...]] = {}
    count = 0
    for folder, _, names in os.walk(root):
        count += len(names)
        if count > MOST_FILES:
            return None
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")  # noqa: PTH118
            files[folded(name)] = (*files.get(folded(name), ()), path)
    return files
