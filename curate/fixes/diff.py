"""A unified diff of two versions of a file, streamed: what is the same is passed over, never held."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path

from curate.fixes.json_rows import text_rows

CONTEXT = 3
LONGEST_LINE = 20_000
"""Bytes of a line beyond which rows are shown one a line, however the file holds them."""
AGREEING = CONTEXT + 1
"""Lines in a row that must be the same before a difference counts as over."""
WIDEST = 300
"""Lines of a difference that are looked at to find its end."""

Marked = tuple[str, str]
"""" ", "-" or "+", and a line."""


def unified(old: Path, new: Path, name: str) -> Iterator[str]:
    """The lines of the diff, each with its end."""
    by_rows = has_long_lines(old)
    lines = (rows_as_lines(old), rows_as_lines(new)) if by_rows else (lines_of(old), lines_of(new))
    first = True
    for hunk in hunks(marked(*lines)):
        if first:
            yield f"--- {name}\n+++ {name}{' (one row a line)' if by_rows else ''}\n"
            first = False
        yield from hunk


def lines_of(path: Path) -> Iterator[str]:
    """A text file's lines with their ends as they are."""
    with path.open(encoding="utf-8", newline="\n") as file:
        yield from file


def rows_as_lines(path: Path) -> Iterator[str]:
    """A file of few lines, its rows one a line."""
    for piece in text_rows(path):
        yield piece.before.strip() + piece.text.replace("\n", " ") + "\n"


def has_long_lines(path: Path) -> bool:
    """Whether the file begins with lines too long to be shown."""
    with path.open("rb") as file:
        return any(len(line) > LONGEST_LINE for line in islice(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 100))


def marked(old: Iterable[str], new: Iterable[str]) -> Iterator[Marked]:
    """Both files' lines, marked as kept, taken out and put in."""
    left, right = Ahead(old), Ahead(new)
    while True:
        ours, theirs = left.first(1), right.first(1)
        if not ours and not theirs:
            return
        if ours == theirs:
            yield " ", left.take()
            right.take()
            continue
        yield from changed(left, right)


def changed(left: Ahead, right: Ahead) -> Iterator[Marked]:
    """From the first difference to where both files agree again."""
    ours, theirs = left.first(WIDEST + AGREEING), right.first(WIDEST + AGREEING)
    stop = meeting(ours, theirs)
    for tag, start, end, first, last in SequenceMatcher(
        None, ours[: stop[0]], theirs[: stop[1]], autojunk=False
    ).get_opcodes():
        if tag == "equal":
            yield from ((" ", line) for line in ours[start:end])
        else:
            yield from (("-", line) for line in ours[start:end])
            yield from (("+", line) for line in theirs[first:last])
    left.drop(stop[0])
    right.drop(stop[1])


def meeting(ours: list[str], theirs: list[str]) -> tuple[int, int]:
    """How many lines each side has before some lines in a row are the same, or both end.

    Lines that were changed in place are far more likely than lines put in, so equal counts are tried first.
    """
    for most in range(1, WIDEST + 1):
        for less in range(most, -1, -1):
            for here, there in ((most, less), (less, most)):
                if agree(ours, theirs, here, there):
                    return here, there
    return min(len(ours), WIDEST), min(len(theirs), WIDEST)


def agree(ours: list[str], theirs: list[str], here: int, there: int) -> bool:
    """Whether the next lines from these places on are the same; at the end, all that are left."""
    if here > len(ours) or there > len(theirs):
        return False
    if here < len(ours) and there < len(theirs) and ours[here] != theirs[there]:
        return False
    return ours[here : here + AGREEING] == theirs[there : there + AGREEING]


class Ahead:
    """Lines that can be looked at before they are taken."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = iter(lines)
        self.held: deque[str] = deque()

    def first(self, count: int) -> list[str]:
        """The next lines, up to so many."""
        self.held.extend(islice(self.lines, max(0, count - len(self.held))))
        return list(islice(self.held, count))

    def take(self) -> str:
        """The next line."""
        return self.held.popleft()

    def drop(self, count: int) -> None:
        """Pass over lines."""
        for _ in range(count):
            self.held.popleft()


def hunks(lines: Iterable[Marked]) -> Iterator[list[str]]:
    """Changes with the lines around them, under the numbers of their first lines."""
    before: deque[str] = deque(maxlen=CONTEXT)
    hunk: list[Marked] | None = None
    quiet = 0
    ours = theirs = 1
    start = (1, 1)
    for mark, line in lines:
        if mark != " " and hunk is None:
            start = (ours - len(before), theirs - len(before))
            hunk = [(" ", item) for item in before]
        if hunk is not None:
            hunk.append((mark, line))
            quiet = quiet + 1 if mark == " " else 0
            if quiet > 2 * CONTEXT:
                yield written(hunk[: CONTEXT - quiet], start)
                hunk, quiet = None, 0
        if mark == " ":
            before.append(line)
        else:
            before.clear()
        ours += mark != "+"
        theirs += mark != "-"
    if hunk is not None:
        yield written(hunk[: len(hunk) - max(0, quiet - CONTEXT)], start)


def written(hunk: list[Marked], start: tuple[int, int]) -> list[str]:
    """A hunk's head and lines."""
    ours, theirs = (sum(mark in (" ", side) for mark, _ in hunk) for side in "-+")
    head = f"@@ -{span(start[0], ours)} +{span(start[1], theirs)} @@\n"
    return [
        head,
        *(mark + (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n") for mark, line in hunk),
    ]


def span(start: int, count: int) -> str:
    """`12,3`; of no lines, the number of the line before."""
    return f"{start if count else start - 1},{count}"
