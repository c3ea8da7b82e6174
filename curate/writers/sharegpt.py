"""NAME.json in the sharegpt form of LLaMA-Factory's guide, written row by row."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from curate.build import Row
from validators.model import MediaKind


class SharegptWriter:
    """A JSON array of rows: `messages`, and the lists of the modalities that the dataset has."""

    def __init__(self, path: Path, kinds: Iterable[MediaKind]) -> None:
        self.kinds = tuple(kinds)
        self.file = path.open("w", encoding="utf-8")
        self.rows = 0

    def __enter__(self) -> SharegptWriter:
        self.file.write("[")
        return self

    def write(self, row: Row) -> None:
        """Add one row."""
        value: dict[str, object] = {
            "messages": [{"role": turn.role, "content": turn.content} for turn in row.turns],
            **{kind.column: row.paths(kind) for kind in self.kinds},
        }
        text = json.dumps(value, ensure_ascii=False, indent=2).replace("\n", "\n  ")
        self.file.write(("," if self.rows else "") + "\n  " + text)
        self.rows += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.write("\n]\n")
        self.file.close()
