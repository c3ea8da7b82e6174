"""A baseline: the findings that are known, so that only new ones fail.

A finding of a row is known by its rule, its dataset, its place and the row's content: rows may move within and between
files, and a changed row is new. A finding without a row is known by rule, dataset, file, place and what was found.
Only errors and warnings are kept; notes never fail.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from itertools import chain
from pathlib import Path

from validators.errors import UsageFault
from validators.findings import Finding, Severity
from validators.report.model import KnownFindings, Report
from validators.sources.loading import FILE_TYPES, Loader
from validators.sources.rows import SourceFault, iter_rows

VERSION = 1
MAX_BYTES = 256 << 20
CURE = "write it with --write-baseline FILE"


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One known finding. `row` is the fingerprint of its row's content; where that is empty, `found` tells.

    Paths start from the baseline's folder. target: what was checked when it was written.
    """

    target: str
    code: str
    dataset: str
    file: str
    place: str
    row: str = ""
    found: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What makes two findings the same: a row is known in whatever file of its dataset it stands."""
        return (self.code, self.dataset, self.place, self.row or "\0".join((self.file, self.found)))

    def words(self) -> str:
        """The entry for people."""
        row = f"  row of content {self.row}" if self.row else ""
        return f"{self.file}{row}{f'  {self.place}' if self.place else ''}  {self.code}"


Baseline = Counter[Entry]
"""How often each known finding stands in the data."""


def entries(report: Report, home: Path) -> list[tuple[Finding, Entry]]:
    """The failing findings of a report with their entries; rows with findings are read a second time."""
    failing = [finding for finding in report.findings if finding.severity is not Severity.NOTE]
    wanted: defaultdict[str, set[int]] = defaultdict(set)
    for finding in failing:
        if finding.place.row is not None:
            wanted[finding.file].add(finding.place.row)
    prints = {file: fingerprints(Path(file), rows) for file, rows in wanted.items()}
    target = near(report.target, home)
    result = []
    for finding in failing:
        row = "" if finding.place.row is None else prints[finding.file].get(finding.place.row, "")
        file = near(finding.file, home)
        found = "" if row else finding.found
        entry = Entry(target, finding.code, finding.dataset, file, finding.place.path, row, found)
        result.append((finding, entry))
    return result


def near(path: str, home: Path) -> str:
    """A path from the baseline's folder, with slashes."""
    return Path(os.path.relpath(path, home)).as_posix()


def settled(
    report: Report,
    identified: list[tuple[Finding, Entry]],
    baseline: Baseline,
    file: Path,
    looks: Callable[[str, str], bool],
) -> Report:
    """The report without its known findings; entries of this target that have gone are named as stale.

    identified: what `entries` makes of the report. file: where the baseline is. looks: whether a rule's findings in a
    file would be in the report at all; where not, nothing is said of their entries.

    Where a row stands twice in the baseline's data, two of its kind are known, and a third is new.
    """
    home = folder_of(file)
    target = near(report.target, home)
    credit: Counter[tuple[str, ...]] = Counter()
    by_target: defaultdict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for entry, count in baseline.items():
        by_target[entry.target][entry.key] += count
    for counts in by_target.values():
        credit |= counts  # the most of any target: one checked as part of two must not count twice
    used: Counter[tuple[str, ...]] = Counter()
    known: set[int] = set()
    for finding, entry in identified:
        if used[entry.key] < credit[entry.key]:
            used[entry.key] += 1
            known.add(id(finding))
    stale = []
    for entry in sorted(baseline):
        if entry.target == target and looks(entry.code, str(home / entry.file)):
            gone = max(baseline[entry] - used[entry.key], 0)
            used[entry.key] = max(used[entry.key] - baseline[entry], 0)
            stale += [entry.words()] * gone
    return replace(
        report,
        findings=tuple(finding for finding in report.findings if id(finding) not in known),
        known=KnownFindings(str(file), len(known), tuple(stale)),
    )


def fingerprints(file: Path, wanted: set[int]) -> Mapping[int, str]:
    """A fingerprint of the content of each wanted row of a file that can be read; reading stops after the last one."""
    result = {}
    try:
        for row, value in values(file):
            if row in wanted:
                result[row] = fingerprint(value)
                if len(result) == len(wanted):
                    break
    except (SourceFault, OSError, RecursionError):  # the findings say what is wrong with the file
        return result
    return result


def values(file: Path) -> Iterator[tuple[int, object]]:
    """The rows of one file with their numbers; JSON as written, since types that the loader joins over all rows would
    let one row's content depend on another's."""
    kind = FILE_TYPES.get(file.suffix[1:])
    if kind in ("json", "parquet"):
        yield from ((raw.row, raw.value) for raw in iter_rows(file))
    elif kind is not None:
        rows = chain.from_iterable(chunk.raw_rows() for chunk in Loader([file], kind).chunks())
        yield from ((raw.row, raw.value) for raw in rows)


def fingerprint(value: object) -> str:
    """32 hex digits that are the same for equal rows: key order, layout and keys without a value do not count."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode("ascii"), digest_size=16).hexdigest()


def plain(value: object) -> object:
    """A value as JSON can hold it. 1.0 is 1, and null is no key: a CSV or Arrow column may have either."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else repr(value)
    if isinstance(value, bytes):
        return {"bytes": blake2b(value, digest_size=16).hexdigest()}
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def render(baseline: Baseline) -> str:
    """The baseline as JSON: sorted, an entry a line, so that a diff shows what came and went."""
    lines = []
    for entry in sorted(baseline):
        value = {item.name: getattr(entry, item.name) for item in fields(Entry)}
        shown: dict[str, object] = {name: text for name, text in value.items() if text or name in ("code", "target")}
        if baseline[entry] > 1:
            shown["count"] = baseline[entry]
        lines.append("    " + json.dumps(shown, ensure_ascii=False))
    body = "[\n" + ",\n".join(lines) + "\n  ]" if lines else "[]"
    return f'{{\n  "version": {VERSION},\n  "entries": {body}\n}}\n'


def read(file: Path) -> Baseline:
    """A baseline as `render` writes it; UsageFault where the file is none."""
    expected = "a baseline that `curate check --write-baseline` wrote"
    try:
        if file.exists() and not file.is_file():  # a configuration may name a device
            raise UsageFault(file, "no regular file", expected, CURE)
        if file.exists() and file.stat().st_size > MAX_BYTES:
            raise UsageFault(file, f"more than {MAX_BYTES >> 20} MiB", expected, CURE)
        raw = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageFault(file, f"cannot be read: {error.strerror}", expected, CURE) from error
    except (ValueError, RecursionError) as error:
        raise UsageFault(file, f"not JSON: {error}", expected, CURE) from error
    if not isinstance(raw, Mapping) or raw.get("version") != VERSION or not isinstance(raw.get("entries"), list):
        raise UsageFault(file, "no baseline of this version", expected, CURE)
    result: Baseline = Counter()
    for number, item in enumerate(raw["entries"]):
        entry, count = entry_of(item)
        if entry is None:
            raise UsageFault(f"{file}: entries[{number}]", f"{item!r}"[:200], expected, CURE)
        result[entry] += count
    return result


def entry_of(item: object) -> tuple[Entry | None, int]:
    """One entry and its count; None for what is none."""
    names = [each.name for each in fields(Entry)]
    if not isinstance(item, Mapping) or not item.keys() <= {*names, "count"}:
        return None, 0
    texts = [item.get(name, "") for name in names]
    count = item.get("count", 1)
    sound = all(isinstance(text, str) for text in texts) and item.get("code") and item.get("target")
    if not sound or not isinstance(count, int) or isinstance(count, bool) or count < 1:
        return None, 0
    return Entry(*texts), count


def folder_of(file: Path) -> Path:
    """The folder that a baseline's paths start from."""
    return Path(os.path.abspath(file)).parent  # noqa: PTH100
