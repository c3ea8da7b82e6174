"""Mended copies of media files: each file is mended once, however many rows name it; originals stay."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from curate.fixes.protocol import CannotMend, Case, MediaFixer, Mend
from curate.fixes.turns import at, put_in_row, steps
from validators.model import MediaKind
from validators.probes.cache import file_of, is_outside, locate

NAME_BYTES = 240
"""The longest name that is given to a file: 255 is what file systems take, and drafts have longer ones (proving.py)."""


class MediaShop:
    """Makes copies when a row wants one, and removes those that no row keeps."""

    def __init__(self) -> None:
        self.known: dict[tuple[MediaFixer, str], tuple[Path, str] | CannotMend] = {}
        self.made: dict[str, tuple[Path, str]] = {}
        """Copies, and their paths in the row, by the words of the mend that names them."""
        self.new: set[Path] = set()
        """Copies that were not there before; no others are removed."""
        self.used: set[str] = set()

    def mends(self, fixer: MediaFixer, case: Case) -> Iterator[Mend]:
        """The row with the path of a mended copy."""
        where = steps(case.place)
        given = at(case.value, where)
        if given is None and len(where) == 2 and where[1] == 0:
            where = where[:1]  # a path alone instead of a list
            given = at(case.value, where)
        kind = next((kind for kind in MediaKind if case.entry.media_column(kind) == where[0]), None)
        if not isinstance(given, str) or kind is None:
            raise CannotMend("the entry is no single file")
        path = file_of(given, kind, case.media_dir)
        found = locate(path, case.media_dir)
        if found is None or is_outside(path, case.media_dir):
            raise CannotMend("the file is not under the media root")
        source = Path(found[0])
        target, done = self.copy(source, fixer)
        if not given.endswith(source.name):
            raise CannotMend("the path does not end with the file's name")
        new = given[: len(given) - len(source.name)] + target.name
        words = f"{given} → {new}: {done}"
        self.made[words] = (target, new)
        yield Mend(put_in_row(case.value, where, new), words, fixer.safety)

    def copy(self, source: Path, fixer: MediaFixer) -> tuple[Path, str]:
        """The mended copy of a file, made when it is asked for the first time."""
        key = (fixer, os.path.realpath(source))
        if key not in self.known:
            try:
                self.known[key] = self.make(source, fixer)
            except CannotMend as reason:
                self.known[key] = reason
        known = self.known[key]
        if isinstance(known, CannotMend):
            raise known
        return known

    def keep(self, words: str, row: object) -> None:
        """A row keeps the copy that these words tell of, unless a later mend put a copy of it in its place."""
        if words in self.made and isinstance(row, Mapping):
            named = self.made[words][1]
            if any(named == value or (isinstance(value, list) and named in value) for value in row.values()):
                self.used.add(words)

    def close(self, discard: bool) -> None:
        """Remove the copies that no row keeps, or all."""
        kept = set() if discard else {self.made[words][0] for words in self.used}
        for copy in self.new - kept:
            copy.unlink(missing_ok=True)

    def make(self, source: Path, fixer: MediaFixer) -> tuple[Path, str]:
        """Make NAME.fixed beside the source, or take the one that is there where it has the same bytes."""
        suffix = fixer.suffix(source)
        draft = beside(source, ".", f".curate-draft{suffix}")
        try:
            draft.unlink(missing_ok=True)
            words = fixer.make(source, draft)
            number = 0
            while True:
                target = beside(source, "", f".fixed{number or ''}{suffix}")
                if not os.path.lexists(target):
                    draft.replace(target)
                    self.new.add(target)
                    return target, words
                if target.is_file() and filecmp.cmp(draft, target, shallow=False):
                    return target, words
                number += 1
        except OSError as error:
            raise CannotMend(f"{source.parent} cannot be written: {error.strerror}") from error
        finally:
            draft.unlink(missing_ok=True)


def beside(source: Path, before: str, after: str) -> Path:
    """A file in the source's folder, called as that one is up to its suffix, cut to the length that names can have."""
    stem = source.name.removesuffix(source.suffix)
    while stem and len(os.fsencode(before + stem + after)) > NAME_BYTES:
        stem = stem[:-1]
    return source.with_name(before + stem + after)
