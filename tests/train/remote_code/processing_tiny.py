"""The stand-in for MiniCPM's processor as a model folder's own code."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.agreement.minicpm_processor import VERSIONS, MiniCPMProcessor, load_processor, name_ids


class TinyMiniCPMProcessor(MiniCPMProcessor):
    """Loads and saves itself, and names its tokens to any tokenizer that it is given, as MiniCPM's own one does."""

    @classmethod
    def register_for_auto_class(cls) -> None:
        """Nothing to do."""

    @classmethod
    def from_pretrained(cls, folder: str, **_: Any) -> TinyMiniCPMProcessor:
        made = cls(load_processor(Path(folder), VERSIONS["v-4.5"]).tokenizer, VERSIONS["v-4.5"])
        made.folder = Path(folder)
        return made

    def save_pretrained(self, folder: str, **_: Any) -> None:
        shutil.copy(self.folder / "preprocessor_config.json", folder)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "tokenizer":
            name_ids(value)
        super().__setattr__(name, value)
