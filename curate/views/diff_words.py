"""A difference as text, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator

from curate.views.changes import Change, PlainRow, What, word_changes
from curate.views.difference import ChangedRow, DatasetDifference, Difference, Setting
from curate.views.lines import Line
from validators.report.escaping import encodable, markdown_code, printable

MOST_CHARS = 160  # of a row that is added or removed
MOST_PATHS = 20
SIGNS = {" ": ("", "", ""), "-": ("[-", "-]", "red"), "+": ("{+", "+}", "green")}
STYLES = {"-": "red", "+": "green", "~": "yellow"}


def text_lines(found: Difference) -> Iterator[Line]:
    """What a person reads; changed texts word by word, as `git diff --word-diff` shows them."""
    for sign, names in (("-", found.removed), ("+", found.added)):
        yield from ([(f"{sign} dataset {printable(name)}", STYLES[sign])] for name in names)
    for dataset in found.datasets:
        yield from dataset_lines(dataset)
    yield from setting_lines("manifest", found.manifest)
    yield [("No difference." if found.same else "They differ.", "bold")]


def dataset_lines(found: DatasetDifference) -> Iterator[Line]:
    """One dataset."""
    yield [(printable(found.name), "bold"), (f": {headline(found)}", "")]
    yield from setting_lines("  entry", found.entry)
    for changed in found.changed:
        yield from changed_lines(changed)
    yield from more(len(found.rows.changed[0]) - len(found.changed), "changed")
    for sign, rows, count in (("-", found.removed, len(found.rows.removed)), ("+", found.added, len(found.rows.added))):
        for row in rows:
            yield [(f"  {sign} row {row.row}  ", STYLES[sign]), (gist(row), "")]
        yield from more(count - len(rows), "removed" if sign == "-" else "added")
    for sign, words, paths in (
        ("-", "", found.media.removed),
        ("+", "", found.media.added),
        ("~", "  other bytes", found.media.changed),
    ):
        yield from ([(f"  {sign} {printable(path)}{words}", STYLES[sign])] for path in paths[:MOST_PATHS])
        yield from more(len(paths) - MOST_PATHS, "media")


def headline(found: DatasetDifference) -> str:
    """`24 → 25 rows: 20 equal (3 moved), 2 changed, 3 added, 2 removed`."""
    rows = found.rows
    moved = f" ({rows.moved} moved)" if rows.moved else ""
    parts = [f"{rows.equal} equal{moved}"]
    for count, word in ((len(rows.changed[0]), "changed"), (len(rows.added), "added"), (len(rows.removed), "removed")):
        parts += [f"{count} {word}"] if count else []
    return f"{rows.rows_a} → {rows.rows_b} rows: {', '.join(parts)}"


def more(number: int, word: str) -> Iterator[Line]:
    """What is not shown."""
    if number > 0:
        yield [(f"  … {number} more {word}", "dim")]


def gist(row: PlainRow) -> str:
    """The start of a row, in one line."""
    said = row.raw or " | ".join(turn.text for turn in row.turns)
    media = "".join(f"  {path}" for _, path in row.media[:4])
    return f"{printable(said, MOST_CHARS)}{printable(media, MOST_CHARS)}"


def changed_lines(row: ChangedRow) -> Iterator[Line]:
    """A changed row."""
    to = f" → row {row.b.row}" if row.b.row != row.a.row else ""
    yield [(f"  ~ row {row.a.row}{to}", STYLES["~"])]
    for change in row.changes:
        yield [(f"    {printable(change.place) or change.what.value}  ", "dim"), *change_pieces(change)]


def change_pieces(change: Change) -> Iterator[tuple[str, str]]:
    """What was there and what is there now."""
    if change.what in (What.TEXT, What.TOOLS) and change.a is not None and change.b is not None:
        for sign, text in word_changes(change.a, change.b):
            before, behind, style = SIGNS[sign]
            yield f"{before}{printable(text)}{behind}", style
        return
    for sign, value in (("-", change.a), ("+", change.b)):
        if value is not None:
            before, behind, style = SIGNS[sign]
            yield f"{before}{printable(value, MOST_CHARS)}{behind}", style


def setting_lines(title: str, found: tuple[Setting, ...]) -> Iterator[Line]:
    """Settings with other values."""
    for item in found:
        yield [
            (f"{title}  {printable(item.name)}  ", ""),
            (printable(item.a or "(none)", MOST_CHARS), STYLES["-"]),
            (" → ", "dim"),
            (printable(item.b or "(none)", MOST_CHARS), STYLES["+"]),
        ]


def markdown(found: Difference) -> str:
    """A section: the counts, and what else differs."""
    lines = [f"### curate diff {markdown_code(found.a)} {markdown_code(found.b)}", ""]
    lines += ["**No difference.**" if found.same else "**They differ.**", ""]
    lines += [f"- dataset removed: {markdown_code(name)}" for name in found.removed]
    lines += [f"- dataset added: {markdown_code(name)}" for name in found.added]
    lines += [f"- {markdown_code(dataset.name)}: {headline(dataset)}" for dataset in found.datasets]
    for dataset in found.datasets:
        lines += [f"  - entry {markdown_code(item.name)}" for item in dataset.entry]
        for row in dataset.changed:
            for change in row.changes:
                words = "".join(text for text, _ in change_pieces(change))
                place = change.place or change.what.value
                lines.append(f"  - row {row.a.row} {markdown_code(place)}: {markdown_code(words)}")
        lines += [f"  - other bytes: {markdown_code(path)}" for path in dataset.media.changed[:MOST_PATHS]]
    lines += [f"- manifest {markdown_code(item.name)}" for item in found.manifest]
    return encodable("\n".join(lines) + "\n")


def document(found: Difference) -> str:
    """One object. Keys are stable; new ones may be added."""
    value = {
        "a": found.a,
        "b": found.b,
        "same": found.same,
        "datasets_added": list(found.added),
        "datasets_removed": list(found.removed),
        "datasets": [as_object(dataset) for dataset in found.datasets],
        "manifest": [setting_object(item) for item in found.manifest],
    }
    return encodable(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def as_object(found: DatasetDifference) -> dict[str, object]:
    """One dataset: counts of all rows, and the rows themselves up to the limit."""
    rows = found.rows
    return {
        "name": found.name,
        "same": found.same,
        "rows_a": rows.rows_a,
        "rows_b": rows.rows_b,
        "equal": rows.equal,
        "moved": rows.moved,
        "changed": len(rows.changed[0]),
        "added": len(rows.added),
        "removed": len(rows.removed),
        "changed_rows": [
            {
                "row_a": row.a.row,
                "row_b": row.b.row,
                "changes": [
                    {"what": change.what.value, "place": change.place, "a": change.a, "b": change.b}
                    for change in row.changes
                ],
            }
            for row in found.changed
        ],
        "added_rows": [row_object(row) for row in found.added],
        "removed_rows": [row_object(row) for row in found.removed],
        "entry": [setting_object(item) for item in found.entry],
        "media_added": list(found.media.added),
        "media_removed": list(found.media.removed),
        "media_changed": list(found.media.changed),
    }


def row_object(row: PlainRow) -> dict[str, object]:
    """A row that one side lacks."""
    turns = [{"role": turn.role, "content": turn.text} for turn in row.turns]
    return {"file": row.file, "row": row.row, "turns": turns, "media": [path for _, path in row.media]}


def setting_object(item: Setting) -> dict[str, object]:
    """A setting with its values as JSON text."""
    return {"name": item.name, "a": item.a, "b": item.b}
