"""Two targets: their datasets row by row, their entries, their manifests, their media."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import file_digest
from pathlib import Path

from curate.views.changes import Change, PlainRow, changes, plain_row
from curate.views.compare import Comparison, compare
from curate.views.digests import digest
from curate.views.pick import numbered
from validators.probes.cache import locate
from validators.rules.rule import Depth, RunView
from validators.sources.target import DatasetPlan, manifest_of, mapping


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that is named in both, with other values; None where one has it not. Values are JSON."""

    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class MediaDifference:
    """Paths that only B or only A has, and paths under which both have other bytes."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether there is none."""
        return not (self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row of A and what has become of it in B."""

    a: PlainRow
    b: PlainRow
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class DatasetDifference:
    """One dataset; of the rows that differ the first ones are shown."""

    name: str
    rows: Comparison
    entry: tuple[Setting, ...]
    """What of its dataset_info entry differs."""
    media: MediaDifference
    added: tuple[PlainRow, ...]
    removed: tuple[PlainRow, ...]
    changed: tuple[ChangedRow, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return self.rows.same and not self.entry and self.media.same


@dataclass(frozen=True, slots=True)
class Difference:
    """Two targets."""

    a: str
    b: str
    added: tuple[str, ...]
    """Names of datasets that only B has."""
    removed: tuple[str, ...]
    """Names of datasets that only A has."""
    datasets: tuple[DatasetDifference, ...]
    manifest: tuple[Setting, ...]
    """What the manifests of two builds say otherwise, but for rows and media."""

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.added or self.removed or self.manifest) and all(item.same for item in self.datasets)


def difference(
    a: RunView, b: RunView, limit: int, read_media: bool, progress: Callable[[str, int], None]
) -> Difference:
    """Compare; `limit` rows of each kind and dataset are looked at closely. `read_media`: read the files under paths
    that both have, too."""
    a, b = replace(a, depth=Depth.SHAPE), replace(b, depth=Depth.SHAPE)
    sides = [{item.entry.name: item for item in run.plan.datasets} for run in (a, b)]
    # two single datasets are compared whatever they are called
    alone = all(len(side) == 1 for side in sides)
    alike = list(zip(*(side.values() for side in sides), strict=True)) if alone else []
    pairs = alike or [(sides[0][name], sides[1][name]) for name in sides[0] if name in sides[1]]
    known = {dataset.entry.name for pair in pairs for dataset in pair}
    return Difference(
        a.plan.target,
        b.plan.target,
        tuple(name for name in sides[1] if name not in known),
        tuple(name for name in sides[0] if name not in known),
        tuple(dataset_difference(a, b, one, other, limit, read_media, progress) for one, other in pairs),
        tuple(manifest_changes(a, b)),
    )


def dataset_difference(
    run_a: RunView,
    run_b: RunView,
    a: DatasetPlan,
    b: DatasetPlan,
    limit: int,
    read_media: bool,
    progress: Callable[[str, int], None],
) -> DatasetDifference:
    """One dataset: a pass over each side, and another for the rows that are shown."""
    digests_a = digest(a, read_media)
    progress(a.entry.name, len(digests_a))
    digests_b = digest(b, read_media)
    progress(b.entry.name, len(digests_b))
    rows = compare(digests_a, digests_b)
    changed_a, changed_b = (side[:limit].tolist() for side in rows.changed)
    removed, added = rows.removed[:limit].tolist(), rows.added[:limit].tolist()
    of_a = {chunk.start: plain_row(run_a, a, chunk) for chunk in numbered(a, {*changed_a, *removed})}
    of_b = {chunk.start: plain_row(run_b, b, chunk) for chunk in numbered(b, {*changed_b, *added})}
    media = built_media(a, b)
    if digests_a.media is not None and digests_b.media is not None:
        media = replace(
            media, changed=tuple(other_bytes(a, b, sorted(digests_a.media.keys() & digests_b.media.keys())))
        )
    return DatasetDifference(
        a.entry.name if a.entry.name == b.entry.name else f"{a.entry.name} → {b.entry.name}",
        rows,
        tuple(entry_changes(a, b)),
        media,
        tuple(of_b[row] for row in added),
        tuple(of_a[row] for row in removed),
        tuple(
            ChangedRow(of_a[old], of_b[new], tuple(changes(of_a[old], of_b[new])))
            for old, new in zip(changed_a, changed_b, strict=True)
        ),
    )


def entry_changes(a: DatasetPlan, b: DatasetPlan) -> Iterator[Setting]:
    """Other keys in dataset_info.json; bare files have no entry."""
    if a.info_file is not None and b.info_file is not None:
        alike = {"file_name"} if a.entry.name != b.entry.name else set()
        yield from settings(a.entry.raw, b.entry.raw, alike)


def settings(a: Mapping[str, object], b: Mapping[str, object], alike: set[str]) -> Iterator[Setting]:
    """Keys with other values, but for those that are taken for alike."""
    for name in dict.fromkeys((*a, *b)):
        if name not in alike and a.get(name) != b.get(name):
            yield Setting(
                name, *(json.dumps(side[name], ensure_ascii=False) if name in side else None for side in (a, b))
            )


def manifest_changes(a: RunView, b: RunView) -> Iterator[Setting]:
    """What the manifests say otherwise; rows and media are compared themselves, and files that hold only them."""
    old, new = build_of(a), build_of(b)
    if old is None or new is None:
        return
    yield from settings(old, new, {"datasets", "files"})
    described = [facts for side in (old, new) for facts in map(mapping, mapping(side.get("datasets")).values())]
    data = {str(facts.get("arrow")) for facts in described}
    data |= {str(mapping(file).get("file")) for facts in described for file in listing(facts.get("data"))}
    listed = [mapping(side.get("files")) for side in (old, new)]
    alike = {
        name for name in {*listed[0], *listed[1]} if any(name == one or name.startswith(f"{one}/") for one in data)
    }
    for change in settings(listed[0], listed[1], alike | {"dataset_info.json", "lock.json"}):
        yield replace(change, name=f"files.{change.name}")


def listing(value: object) -> list[object]:
    """The value as a list, empty where it is none."""
    return value if isinstance(value, list) else []


def build_of(run: RunView) -> Mapping[str, object] | None:
    """The manifest of the build that the target is; None where it is none."""
    homes = {dataset.info_file for dataset in run.plan.datasets}
    home = next(iter(homes)) if len(homes) == 1 else None
    return manifest_of(Path(home).parent) if home is not None else None


def built_media(a: DatasetPlan, b: DatasetPlan) -> MediaDifference:
    """By the hashes in the manifests of two builds."""
    old, new = hashes_of(a), hashes_of(b)
    if old is None or new is None:
        return MediaDifference()
    return MediaDifference(
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(old.keys() - new.keys())),
        tuple(sorted(path for path in old.keys() & new.keys() if old[path] != new[path])),
    )


def hashes_of(dataset: DatasetPlan) -> dict[str, str] | None:
    """Path to hash, as the dataset's build found it."""
    manifest = manifest_of(Path(dataset.info_file).parent) if dataset.info_file is not None else None
    facts = mapping(mapping((manifest or {}).get("datasets")).get(dataset.entry.name))
    if "media" not in facts:
        return None
    return {path: str(mapping(item).get("sha256")) for path, item in mapping(facts["media"]).items()}


def other_bytes(a: DatasetPlan, b: DatasetPlan, paths: list[str]) -> Iterator[str]:
    """Paths under which the two have files of other content, or of which one has none."""
    for path in paths:
        one, other = locate(path, a.media_dir), locate(path, b.media_dir)
        if one is None or other is None:
            if one is not other:
                yield path
        elif (one[1].st_dev, one[1].st_ino) != (other[1].st_dev, other[1].st_ino) and (
            one[1].st_size != other[1].st_size or content_hash(one[0]) != content_hash(other[0])
        ):
            yield path


def content_hash(path: str) -> bytes:
    """The file's bytes in few; a file that cannot be read is equal to none but itself."""
    try:
        with Path(path).open("rb") as file:
            return file_digest(file, "sha256").digest()
    except OSError:
        return path.encode("utf-8", "surrogateescape")
