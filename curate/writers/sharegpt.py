"""Rows in the sharegpt form of LLaMA-Factory's guide: as values, as types, as the text of NAME.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

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


encode = json.JSONEncoder(ensure_ascii=False).encode


def sharegpt_text(row: Mapping[str, Any]) -> str:
    """The row as json.dumps(indent=2) lays it out in a list; that goes through Python for each mark of it."""
    fields = []
    for name, value in row.items():
        if name == "messages":
            turns = (
                f'{{\n        "role": {encode(turn["role"])},\n        "content": {encode(turn["content"])}\n      }}'
                for turn in value
            )
            fields.append(f'"messages": {listed(turns)}')
        else:
            fields.append(f"{encode(name)}: {encode(value) if isinstance(value, str) else listed(map(encode, value))}")
    return "  {\n    " + ",\n    ".join(fields) + "\n  }"


def listed(items: Iterable[str]) -> str:
    """A list in a row."""
    text = ",\n      ".join(items)
    return f"[\n      {text}\n    ]" if text else "[]"
