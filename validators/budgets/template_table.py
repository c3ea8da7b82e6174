"""The table of chat templates and tool prompts that scripts/make_tables.py makes from the installed llamafactory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

TABLE = Path(__file__).with_name("templates.json")


@cache
def table() -> Mapping[str, Any]:
    """The whole table: `llamafactory` (version), `templates`, `tool_prompts`."""
    return cast("Mapping[str, Any]", json.loads(TABLE.read_text(encoding="utf-8")))
