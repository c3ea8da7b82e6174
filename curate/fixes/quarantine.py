"""Rows that the trainer would still drop or stop at, moved to a file of their own with the reasons."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from curate.fixes.json_rows import TextRow, text_rows
from curate.fixes.json_text import Node, parse
from curate.fixes.result import Moved
from curate.fixes.rewrite import without
from curate.fixes.session import NOT_JSON, ODD_FORM, Session
from validators.errors import UsageFault
from validators.findings import Finding
from validators.model import Outcome
from validators.report.escaping import encodable
from validators.rules.registry import BY_CODE
from validators.rules.rule import Scope
from validators.sources.rows import SourceFault
from validators.sources.target import DatasetPlan

ENDING = frozenset([Outcome.DROPPED, Outcome.CRASH_STEP, Outcome.CRASH_LOAD])


def ends(finding: Finding) -> bool:
    """Whether a finding ends its row's way to the loss."""
    of_row = BY_CODE[finding.code].scope in (Scope.ROW, Scope.MEDIA)
    return of_row and finding.place.row is not None and finding.outcome in ENDING


def record(piece: TextRow, findings: Sequence[Finding]) -> str:
    """One line: the row's number, why it was moved, and the row as it was spelt."""
    reasons = [
        {"code": item.code, "found": item.found, "outcome": item.outcome.value if item.outcome else None}
        for item in findings
    ]
    row = piece.row.row if piece.row is not None else None
    head = json.dumps({"row": row, "reasons": reasons}, ensure_ascii=False)
    return encodable(f'{head[:-1]}, "value": {one_line(piece.text)}}}') + "\n"


def one_line(text: str) -> str:
    """A JSON text without line ends; numbers and strings keep their spelling."""
    if "\n" not in text and "\r" not in text:
        return text
    try:
        return compact(text, parse(text))
    except RecursionError:
        return json.dumps(text)


def compact(text: str, node: Node) -> str:
    """A value's text with the common spaces."""
    if node.members:
        return (
            "{" + ", ".join(f"{text[item.start : item.end]}: {compact(text, item.node)}" for item in node.members) + "}"
        )
    if node.items:
        return "[" + ", ".join(compact(text, item) for item in node.items) + "]"
    spelt = text[node.start : node.end]
    return spelt if "\n" not in spelt and "\r" not in spelt else json.dumps(node.value)


def quarantine(session: Session) -> None:
    """Take the rows that are still lost out of their files; their lines wait in the session."""
    doomed: dict[str, dict[int, list[Finding]]] = {}
    for finding in session.look.report.findings:
        if finding.place.row is not None and ends(finding) and session.wanted(finding):
            doomed.setdefault(finding.file, {}).setdefault(finding.place.row, []).append(finding)
    for name, rows in doomed.items():
        dataset = next(
            (item for item in session.look.run.plan.datasets if Path(name) in originals(session, item)), None
        )
        if dataset is None or dataset.kind != "json":
            session.result.notices.append(f"{name} {NOT_JSON}")
        else:
            take_out(session, dataset, Path(name), rows)
    if session.result.moved:
        session.look = session.looked()


def originals(session: Session, dataset: DatasetPlan) -> list[Path]:
    """A dataset's files as its target names them."""
    return [session.space.original(file) for file in dataset.files]


def take_out(session: Session, dataset: DatasetPlan, file: Path, rows: Mapping[int, Sequence[Finding]]) -> None:
    """One file's lost rows. Rows in must be rows kept and rows taken, or nothing is done."""
    space = session.space
    lines: list[str] = []

    def take(piece: TextRow) -> None:
        if piece.row is not None:
            lines.append(record(piece, rows[piece.row.row]))

    staged = space.stage(file)
    try:
        before = sum(piece.row is not None for piece in text_rows(space.now(file)))
        kept = without(space.now(file), staged, rows.keys(), take)
        after = sum(piece.row is not None for piece in text_rows(staged)) if kept else 0
    except SourceFault as fault:
        session.result.notices.append(f"{file}: no row is moved: it cannot be read to its end ({fault.found})")
        return
    if not kept:
        session.result.notices.append(f"{file}: no row is moved: none would be left")
        return
    if before < session.look.rows(dataset.entry.name) and len(dataset.files) == 1:
        session.result.notices.append(f"{file}: no row is moved: {ODD_FORM}")
        return
    if after != kept or kept + len(lines) != before or len(lines) != len(rows):
        session.result.notices.append(f"{file}: no row is moved: {before} rows in, {after} kept, {len(lines)} taken")
        return
    space.adopt(file, staged)
    target = space.beside(file, f"{file.stem}.quarantine.jsonl")
    session.lines.setdefault(target, []).extend(lines)
    for row, findings in sorted(rows.items()):
        codes = tuple(dict.fromkeys(item.code for item in findings))
        session.result.moved.append(Moved(str(file), row, codes, str(target)))


def append(path: Path, lines: Sequence[str]) -> None:
    """Add lines to a file that may be there, on disk before anything else goes on."""
    try:
        with path.open("a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write("".join(lines).encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UsageFault(path, f"cannot be written: {error.strerror}", "a file that can be added to") from error
