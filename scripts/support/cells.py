"""Cells of the support table: support.json read, merged and written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "validators/llamafactory/environment/support.json"
KEYS = ("family", "llamafactory", "transformers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one family does under one pair of versions."""

    family: str
    llamafactory: str
    transformers: str
    result: str
    """trains, fails or "not run". A family that trains on one of its media and not on another trains."""
    stage: str = ""
    """Where it failed: arguments, tokenizer and processor, preprocessing, model, step."""
    words: str = ""
    """The error's last line, without folders and addresses; why nobody ran it, for "not run"."""
    fails_on: Mapping[str, str] = field(default_factory=dict)
    """Words by modality (text, image, video, audio), where the family trains on another one."""
    revision: str = ""
    """Of a model's own code, where it is not the newest published one: which was run."""
    evidence: str = ""
    """How it was run."""
    source: str = ""
    """The files and functions between which the error was raised, or what was run."""

    def entry(self) -> dict[str, Any]:
        """As the file holds it: `stage`, `fails_on` and `revision` are left out where empty."""
        optional = {"stage", "fails_on", "revision"}
        return {key: value for key, value in asdict(self).items() if value or key not in optional}


def read_cells(path: Path = TABLE) -> list[Cell]:
    """The table's cells; none where it does not stand yet."""
    return [Cell(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))["cells"]] if path.is_file() else []


def merge(known: Iterable[Cell], found: Iterable[Cell]) -> list[Cell]:
    """What was found now over what was known, in the table's order; "not run" never replaces a run."""
    cells = {key(cell): cell for cell in known}
    for cell in found:
        if cell.result != "not run" or cells.get(key(cell), cell).result == "not run":
            cells[key(cell)] = cell
    return [cells[name] for name in sorted(cells)]


def key(cell: Cell) -> tuple[str, str, str]:
    """What a cell is found by."""
    return cell.family, cell.llamafactory, cell.transformers


def write_cells(cells: Sequence[Cell], path: Path = TABLE) -> None:
    """Write the table."""
    text = json.dumps({"cells": [cell.entry() for cell in cells]}, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
