"""What the installed trainer's own files say, read as text."""

from __future__ import annotations

import re
from pathlib import Path


def minicpm_returns(file: Path) -> bool | None:
    """Whether MiniCPMVPlugin.get_mm_inputs has a return with a value; only that class's text is parsed."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r"^class MiniCPMVPlugin\b.*?(?=^\S|\Z)", text, re.DOTALL | re.MULTILINE)
    method = found and re.search(
        r"^    def get_mm_inputs\b.*?(?=^    (?:def|@)|\Z)", found[0], re.DOTALL | re.MULTILINE
    )
    return None if not method else re.search(r"^        return\s+\S", method[0], re.MULTILINE) is not None
