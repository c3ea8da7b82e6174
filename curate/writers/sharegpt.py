"""NAME.json in the sharegpt form of LLaMA-Factory's guide, written row by row."""

from __future__ import annotations

from json.encoder import encode_basestring
from pathlib import Path
from types import TracebackType

from curate.build import Row
from curate.writers.form import Form


def sharegpt_row(row: Row, form: Form) -> dict[str, object]:
    """One row; each has the columns that any of the dataset's rows needs."""
    return {
        "messages": [{"role": turn.role, "content": turn.content} for turn in row.turns],
        **{kind.column: row.paths(kind) for kind in form.kinds},
        **({"tools": row.tools or ""} if form.tools else {}),
    }


class SharegptWriter:
    """A JSON array of rows: `messages`, the lists of the modalities that the dataset has, `tools` if it has some."""

    def __init__(self, path: Path, form: Form) -> None:
        self.form = form
        self.file = path.open("w", encoding="utf-8")
        self.rows = 0

    def __enter__(self) -> SharegptWriter:
        self.file.write("[")
        return self

    def write(self, row: Row) -> None:
        """Add one row."""
        self.file.write(("," if self.rows else "") + "\n  " + indented(row, self.form))
        self.rows += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.write("\n]\n")
        self.file.close()


def indented(row: Row, form: Form) -> str:
    """The text of `sharegpt_row` as json.dumps writes it at an indent of 2, two spaces further right.

    json.dumps encodes in Python, and not in C, where it indents: four times as slow.
    """
    turns = ",".join(
        f'\n      {{\n        "role": {encode_basestring(turn.role)},'
        f'\n        "content": {encode_basestring(turn.content)}\n      }}'
        for turn in row.turns
    )
    text = f'{{\n    "messages": [{turns}\n    ]' if turns else '{\n    "messages": []'
    for kind in form.kinds:
        paths = ",".join(f"\n      {encode_basestring(path)}" for path in row.paths(kind))
        text += f',\n    "{kind.column}": [{paths}\n    ]' if paths else f',\n    "{kind.column}": []'
    if form.tools:
        text += f',\n    "tools": {encode_basestring(row.tools or "")}'
    return text + "\n  }"
