"""Mending one target on a command's behalf: do it, say it, write it or show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from validators.engine import CheckOptions
from validators.report.escaping import encodable, printable
from validators.report.model import Report

if TYPE_CHECKING:
    from curate.commands.configured import Checker
    from curate.fixes.result import Applied, Left, Moved, Result
    from curate.fixes.session import Session
    from curate.fixes.workspace import Workspace

MOST_ALIKE = 20
"""Lines about one rule in one file that are printed, unless all are asked for."""


@dataclass(frozen=True, slots=True)
class Way:
    """What is to be done. in_place: without backups."""

    unsafe: bool = False
    diff: bool = False
    in_place: bool = False
    quarantine: bool = False
    full: bool = False


@dataclass(frozen=True, slots=True)
class Fixed:
    """What it came to: whether anything changes, and the report of what is left, before gate and baseline."""

    changed: bool
    report: Report


def fix(target: str, checker: Checker, options: CheckOptions, way: Way, out: TextIO) -> Fixed:
    """Mend a target as its configuration and the command line want it; what is done goes to `out`."""
    from curate.fixes.engine import commit, mend
    from curate.fixes.session import How
    from curate.fixes.workspace import Workspace

    with Workspace() as space:
        session = mend(target, checker.completed(target, options), How(way.unsafe, way.quarantine), space)
        written: list[str] = []
        done = False
        try:
            if way.diff:
                show_diff(space, out)
            else:
                for path, backup in commit(session, keep_backups=not way.in_place):
                    kept = f" (as it was: {printable(str(backup))})" if backup is not None else ""
                    written.append(f"Wrote {printable(str(path))}{kept}.\n")
                done = True
        finally:
            session.shop.close(discard=not done)
        if not way.diff:
            lines = [*told(session.result, way), *written, *summary(session)]
            out.write(encodable("".join(lines)))
        return Fixed(bool(space.changes()), session.report())


def show_diff(space: Workspace, out: TextIO) -> None:
    """A unified diff of each file that would change; control characters are shown as escapes to a terminal."""
    from curate.fixes.diff import unified

    for path, newest in space.changes():
        for line in unified(path, newest, str(path)):
            text = encodable(line)
            out.write(printable(text.rstrip("\n"), len(text)) + "\n" if out.isatty() else text)


def told(result: Result, way: Way) -> Iterator[str]:
    """One line a mend, one a row that was moved, one a finding that was left though it has a fixer."""
    mends = [(item.file, item.code, applied_line(item)) for item in result.applied]
    moves = [(item.file, item.codes[0], moved_line(item)) for item in result.moved]
    left = [(item.file, item.code, left_line(item)) for item in result.left if not item.unsafe]
    for what, lines in (("fixed", mends), ("moved", moves), ("left", left)):
        yield from capped(lines, what, way.full)
    for notice in dict.fromkeys(result.notices):
        yield f"{printable(notice)}\n"


def capped(lines: Sequence[tuple[str, str, str]], what: str, full: bool) -> Iterator[str]:
    """Lines, those of one rule in one file cut at MOST_ALIKE."""
    counts: Counter[tuple[str, str]] = Counter()
    for file, code, line in lines:
        counts[file, code] += 1
        if full or counts[file, code] <= MOST_ALIKE:
            yield line
    for (file, code), count in counts.items():
        if not full and count > MOST_ALIKE:
            yield f"{printable(file)}  … {count - MOST_ALIKE} more of {code} {what} (--full prints them)\n"


def applied_line(item: Applied) -> str:
    """`data.json  row 3  MED001 fixed: images[0] …`."""
    return f"{place(item.file, item.row)}  {item.code} fixed ({item.safety.value}): {printable(item.words)}\n"


def moved_line(item: Moved) -> str:
    """`data.json  row 3  TRN001  moved to data.quarantine.jsonl`."""
    return f"{place(item.file, item.row)}  {', '.join(item.codes)}  moved to {printable(item.to)}\n"


def left_line(item: Left) -> str:
    """`data.json  row 3  MED001 left: …`."""
    return f"{place(item.file, item.row)}  {item.code} left: {printable(item.why)}\n"


def place(file: str, row: int | None) -> str:
    """File and row."""
    return printable(file) + (f"  row {row}" if row is not None else "")


def summary(session: Session) -> Iterator[str]:
    """The last line."""
    result = session.result
    unsafe = sum(item.unsafe for item in result.left)
    parts = [f"Fixed {len(result.applied)} finding{'' if len(result.applied) == 1 else 's'}"]
    if result.moved:
        parts.append(f"moved {len(result.moved)} row{'' if len(result.moved) == 1 else 's'} to quarantine")
    more = f" ({unsafe} more with --unsafe-fixes)" if unsafe else ""
    yield f"{', '.join(parts)}{more}.\n"
