"""Subtitles, .srt or .vtt, beside a video or a sound of the same name: timed captions.

`cues: transcript` (the default) makes one row a file, its answer a line for each cue with its times; `cues: rows`
makes one row a cue, which asks what is said between its times.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.ingest.places import from_root, media_files, text_of
from curate.ingest.raw import Intake, NoUse, RawItem, Turn, kind_by_suffix
from validators.model import MediaKind, Role

SUFFIXES = (".srt", ".vtt")
ROWS, TRANSCRIPT = "rows", "transcript"
TIME = re.compile(r"(?:(\d+):)?([0-5]?\d):([0-5]?\d)[.,](\d{3})")
ARROW = "-->"
MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}")
BLOCKS = ("NOTE", "STYLE", "REGION")


@dataclass(frozen=True, slots=True)
class Cue:
    """What is said, from and to in milliseconds."""

    start: int
    end: int
    text: str


def read(intake: Intake) -> Iterator[RawItem]:
    """The rows of every medium that has subtitles, in the order of their names; or of one subtitle file's medium."""
    row = 0
    for file, medium in pairs(intake.path):
        for item in items(intake, file, medium):
            yield RawItem(file, row, item.media, item.turns, problem=item.problem)
            row += 1


def pairs(path: Path) -> Iterator[tuple[Path, Path | None]]:
    """Subtitle files with their media: NAME.srt or NAME.LANGUAGE.srt beside NAME.mp4."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
    beside: dict[Path, dict[str, Path]] = {}
    for file in files:
        if file.parent not in beside:
            beside[file.parent] = {item.stem: item for item in media_files(file.parent) if item.parent == file.parent}
        media = beside[file.parent]
        yield file, media.get(file.stem) or media.get(file.stem.rpartition(".")[0])


def items(intake: Intake, file: Path, medium: Path | None) -> Iterator[RawItem]:
    """The rows of one subtitle file."""
    try:
        kind = kind_by_suffix(medium.name) if medium is not None else None
        if medium is None or kind is None or kind is MediaKind.IMAGE:
            raise NoUse(f"no video or sound beside {file.name}")
        media = ((kind, from_root(medium, intake.media_root)),)
        said = tuple(cues(text_of(file)))
        if not said:
            raise NoUse(f"no cue in {file.name}")
    except NoUse as reason:
        yield RawItem(file, 0, problem=str(reason))
        return
    if intake.options.cues == ROWS:
        for cue in said:
            question = f"{kind.tag}What is said from {clock(cue.start)} to {clock(cue.end)}?"
            yield RawItem(file, 0, media, (Turn(Role.USER, question), Turn(Role.ASSISTANT, cue.text)))
        return
    question = f"{kind.tag}Write down what is said, with the times."
    lines = (f"[{clock(cue.start)} - {clock(cue.end)}] {' '.join(cue.text.split())}" for cue in said)
    yield RawItem(file, 0, media, (Turn(Role.USER, question), Turn(Role.ASSISTANT, "\n".join(lines))))


def cues(text: str) -> Iterator[Cue]:
    """The cues of SubRip or WebVTT text: blocks between empty lines with a line of two times."""
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.strip("\n").split("\n")
        if lines[0].split(" ")[0].rstrip(":") in BLOCKS:
            continue
        place = next((number for number, line in enumerate(lines) if ARROW in line), None)
        if place is None:
            continue
        head, _, tail = lines[place].partition(ARROW)
        start, end = milliseconds(head), milliseconds(tail)
        said = html.unescape(MARKUP.sub("", "\n".join(lines[place + 1 :]))).strip()
        if said:
            yield Cue(start, end, said)


def milliseconds(text: str) -> int:
    """A time such as 00:01:02,500 or 01:02.500."""
    found = TIME.search(text)
    if found is None:
        raise NoUse(f"{text.strip()[:40]!r} is no time")
    hours, minutes, seconds, rest = found.groups(default="0")
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(rest)


def clock(time: int) -> str:
    """A time for people: 01:02.5, with hours where there are some."""
    minutes, rest = divmod(time, 60_000)
    hours, minutes = divmod(minutes, 60)
    lead = f"{hours}:{minutes:02}" if hours else f"{minutes:02}"
    return f"{lead}:{rest // 1000:02}.{rest % 1000 // 100}"
