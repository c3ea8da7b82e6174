"""Rows from one format to another through the canonical form; what cannot come along is counted by name."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from curate.build import LedgerEntry, build_rows
from curate.ingest.raw import Given, NoUse, Remote
from curate.media.keeper import Keeper, Kept, Mode, below, is_unicode
from curate.recipe import QUESTIONS, DatasetRecipe, Recipe, Source
from curate.writers.arrow import ArrowWriter, read_stream
from curate.writers.atomic import flush
from curate.writers.form import Form
from curate.writers.shapes import Shape, Value, lost, write_values
from validators.errors import UsageFault
from validators.model import MediaKind


class Carrier(Keeper):
    """Leaves paths and addresses as they are written; bytes inside the data become files beside the output."""

    def keep(self, kind: MediaKind, given: Given, source: object) -> Kept:
        """A medium as the output names it."""
        if isinstance(given, Remote):
            return Kept(given.url)
        if not isinstance(given, str):
            return super().keep(kind, given, source)
        if "\0" in given or not is_unicode(given):
            raise NoUse(f"media path {given!r} holds characters that no path can")
        return Kept(given)

    def prefix(self, source: object) -> str:
        """What leads from the media root to the files beside the output."""
        root = self.media_root.resolve()
        if not self.target.is_relative_to(root):
            raise UsageFault(
                source,
                f"media inside the data, whose files would lie in {self.target}, outside the media root {root}",
                "an output below the media root",
                "name a folder above both with --media-root",
            )
        return below(self.target, root)


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of the rows.

    left: what did not come along, by name, with its rows. notes: what the source's reader left. dropped: reasons.
    """

    rows: int
    left: Mapping[str, int]
    notes: tuple[str, ...]
    dropped: Mapping[str, int]
    form: Form


def convert(source: Source, media_root: Path, out: Path, shape: Shape) -> Converted:
    """Write the source's rows to `out`, whole or not at all; media inside the data go to a store, `media/`, beside it.

    The store's files are named by content: one that is there already is the same, and stays.
    """
    staging = out.with_name(f".{out.name}.part")
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        done, used = written(source, media_root, staging, out, shape)
        flush(staging)
        for path in sorted(used):
            move(path, out.parent / path.relative_to(staging))
        (staging / out.name).replace(out)
    except OSError as error:
        raise UsageFault(
            error.filename or out, f"{error.strerror or error}", "files that can be read and written"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return done


def written(source: Source, media_root: Path, staging: Path, out: Path, shape: Shape) -> tuple[Converted, set[Path]]:
    """The output and the files of media that it names, in the staging folder."""
    dataset = DatasetRecipe("data", (source,))
    recipe = Recipe(out, out.parent, media_root, (dataset,), QUESTIONS)
    carrier = Carrier(Mode.REFERENCE, media_root, out.parent, staging)
    dropped: Counter[str] = Counter()
    left: Counter[str] = Counter()
    notes: list[str] = []
    form, rows = Form(), 0
    used: set[Path] = set()
    stream = staging / "rows.stream"
    with ArrowWriter(stream, checked=False) as arrow:
        for item in build_rows(recipe, dataset, carrier, unique=False):
            if isinstance(item, LedgerEntry):
                if item.action == "dropped":
                    dropped[item.reason] += 1
                elif item.row is None:
                    notes.append(item.reason)
                continue
            try:
                shape.row(item, form)
            except NoUse as reason:
                dropped[str(reason)] += 1
                continue
            rows += 1
            left.update(lost(shape, item))
            form = form.including(item)
            used |= {carrier.lying[path].file for _, path in item.media if path in carrier.lying}
            arrow.write(item)
    if not rows:
        reasons = "; ".join(f"{count} × {reason}" for reason, count in dropped.most_common(3))
        raise UsageFault(source.path, f"no row that {shape.name} can hold{f' ({reasons})' if reasons else ''}", "rows")
    write_values(staging / out.name, values(stream, shape, form), form)
    stream.unlink()
    return Converted(rows, left, tuple(notes), dropped, form), used


def move(part: Path, final: Path) -> None:
    """Put a file in its place, unless such bytes are there already."""
    if final.exists():
        part.unlink()
    else:
        final.parent.mkdir(parents=True, exist_ok=True)
        part.rename(final)


def values(stream: Path, shape: Shape, form: Form) -> Iterator[Value]:
    """The rows in their new form."""
    return (shape.row(row, form) for row in read_stream(stream))
