"""Which language a text is written in, by py3langid's model of 139 languages, which comes with the library."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from py3langid.langid import LanguageIdentifier

MODULE = "py3langid"
NO_LANGUAGE = "zxx"  # ISO 639-2: code, markup, numbers
TWO_LETTERS = 2
LEAST = 0.5
"""Confidence of an answer: the language is likelier than all others together."""
MOST_CHARS = 10_000


def languages(texts: Iterable[str | None]) -> pl.Series:
    """The ISO 639-1 code of each text; null where it says too little, or no language.

    Languages without such a code are not looked for: their kin (Cantonese, Nigerian Pidgin) would take short texts.
    """
    return pl.Series([language(text) if text else None for text in texts], dtype=pl.String)


def language(text: str) -> str | None:
    """The code of one text, of which the first MOST_CHARS characters are read."""
    code, confidence = identifier().classify(text[:MOST_CHARS])
    return str(code) if confidence >= LEAST and code != NO_LANGUAGE else None


@lru_cache(maxsize=1)
def identifier() -> LanguageIdentifier:
    """The model; a second to load."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    model.set_languages([label for label in model.labels if len(label) == TWO_LETTERS or label == NO_LANGUAGE])
    return model
