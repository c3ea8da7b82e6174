"""Paths as the trainer will read them: from the working folder, or whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from validators.errors import UsageFault


@dataclass(frozen=True, slots=True)
class Places:
    """How to write paths."""

    working: Path
    """The folder in which the trainer will be run."""
    absolute: bool = False

    def named(self, path: Path) -> str:
        """A path for the yaml: from the working folder where it lies under that, else whole.

        UsageFault for what a yaml cannot say: llamafactory splits adapter paths at commas and replaces ${…}.
        """
        whole = Path(os.path.abspath(self.working / path))  # noqa: PTH100 (resolve would follow links)
        text = str(whole)
        if not self.absolute and whole.is_relative_to(self.working):
            text = str(whole.relative_to(self.working))
        if "," in text or "${" in text or not text.isprintable():
            raise UsageFault(
                text, "a path with a comma, ${ or a control character", "a path that a train yaml can hold"
            )
        return text
