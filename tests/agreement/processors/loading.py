"""Saving a processor and loading it as llamafactory does."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def reloaded(processor: Any, folder: Path) -> Any:
    """Save into the folder and load it back (model/loader.py: load_tokenizer, use_fast_tokenizer's default)."""
    from transformers import AutoProcessor

    processor.save_pretrained(folder)
    return AutoProcessor.from_pretrained(folder, use_fast=True, local_files_only=True)
