"""NAME.json in the sharegpt form of LLaMA-Factory's guide, written row by row."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from curate.build import Row
from curate.schema import canonical_schema
from curate.writers.form import Form

if TYPE_CHECKING:
    import pyarrow as pa


def sharegpt_row(row: Row, form: Form) -> dict[str, object]:
    """One row; each has the columns that any of the dataset's rows needs."""
    return {
        "messages": [{"role": turn.role, "content": turn.content} for turn in row.turns],
        **{kind.column: row.paths(kind) for kind in form.kinds},
        **({"tools": row.tools or ""} if form.tools else {}),
    }


def sharegpt_schema(form: Form) -> pa.Schema:
    """The types of these rows, in which all is spelt out: `tools` is text in each row if it is in one."""
    import pyarrow as pa

    names = ["messages", *(kind.column for kind in form.kinds), *(["tools"] if form.tools else [])]
    return pa.schema([canonical_schema().field(name) for name in names])


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
        text = json.dumps(sharegpt_row(row, self.form), ensure_ascii=False, indent=2).replace("\n", "\n  ")
        self.file.write(("," if self.rows else "") + "\n  " + text)
        self.rows += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.write("\n]\n")
        self.file.close()
