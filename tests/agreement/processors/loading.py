"""Saving a processor and loading it as llamafactory does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.installed import major_transformers


def reloaded(processor: Any, folder: Path) -> Any:
    """Save into the folder and load it back (model/loader.py: load_tokenizer, use_fast_tokenizer's default)."""
    from transformers import AutoProcessor

    processor.save_pretrained(folder)
    if major_transformers() == 4 and hasattr(processor, "image_processor") and hasattr(processor, "feature_extractor"):
        # both were saved as preprocessor_config.json, one over the other; released models have the keys of both there
        parts = (processor.image_processor, processor.feature_extractor)
        whole = {key: value for part in parts for key, value in json.loads(part.to_json_string()).items()}
        (folder / "preprocessor_config.json").write_text(json.dumps(whole), encoding="utf-8")
    return AutoProcessor.from_pretrained(folder, use_fast=True, local_files_only=True)


def image_class(name: str) -> Any:
    """The class that use_fast makes of an image processor of that name; in transformers 4 it has another name."""
    import transformers

    return getattr(transformers, f"{name}Fast" if major_transformers() == 4 else name)
