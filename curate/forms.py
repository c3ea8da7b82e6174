"""JSON Schema in small pieces: what a key of a YAML file may hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Form = Mapping[str, object]
"""A JSON Schema (draft 2020-12) of one value."""

TEXT: Form = {"type": "string", "pattern": r"\S"}
FLAG: Form = {"type": "boolean"}
COUNT: Form = {"type": "integer", "minimum": 1}
SEED: Form = {"type": "integer", "minimum": 0}
ABOVE_0: Form = {"type": "number", "exclusiveMinimum": 0}
SHARE: Form = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
NOTHING: Form = {"type": "null"}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a mapping: what it does, what it may hold, and an example in YAML of the key with its value."""

    name: str
    words: str
    form: Form
    example: str
    required: bool = False


def names(keys: Iterable[Key]) -> tuple[str, ...]:
    """The names of keys, in order."""
    return tuple(key.name for key in keys)


def mapping(keys: Sequence[Key], **more: object) -> Form:
    """A mapping of these keys and no others."""
    required = [key.name for key in keys if key.required]
    properties = {key.name: {"description": key.words, **key.form} for key in keys}
    form: dict[str, object] = {"type": "object", "additionalProperties": False, "properties": properties}
    return form | ({"required": required} if required else {}) | more


def listed(form: Form, least: int = 1) -> Form:
    """A list of such values."""
    return {"type": "array", "items": form} | ({"minItems": least} if least else {})


def one_of(words: Iterable[str]) -> Form:
    """One of some words."""
    return {"enum": list(words)}


def either(*forms: Form) -> Form:
    """Any of these."""
    return {"anyOf": list(forms)}


def optional(form: Form) -> Form:
    """Such a value, or null, which is as good as nothing."""
    return either(form, NOTHING)
