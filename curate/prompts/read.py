"""Prompts as a recipe writes them: texts, texts with weights, and ready-made sets by name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from curate.prompts.builtin import SETS
from curate.prompts.template import FIELDS, BadTemplate, Template, parse
from validators.errors import UsageFault

BUILTIN = "builtin:"
SYSTEM = "system"


def read_templates(where: str, kind: str, raw: object) -> tuple[Template, ...]:
    """One prompt or a list of them; UsageFault names the place.

    kind: image, video, audio or system. A set with a weight shares it among its members.
    """
    listed = raw if isinstance(raw, list) else [raw]
    if not listed:
        raise UsageFault(where, f"{raw!r}", "a list with at least one item")
    places = [f"{where}[{number}]" if isinstance(raw, list) else where for number in range(len(listed))]
    return tuple(one for place, item in zip(places, listed, strict=True) for one in read_item(place, kind, item))


def read_item(where: str, kind: str, raw: object) -> Iterator[Template]:
    """A text, a mapping of text and weight, or a set's name."""
    text, weight = raw, None
    if isinstance(raw, Mapping):
        if not raw.keys() <= {"text", "weight"}:
            raise UsageFault(where, f"{raw!r}", "text, or a mapping of text and weight")
        text, weight = raw.get("text"), raw.get("weight", 1)
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 < weight < math.inf:
            raise UsageFault(f"{where}.weight", f"{weight!r}", "a number above 0")
    if not isinstance(text, str) or not text.strip():
        raise UsageFault(where, f"{text!r}", "text, {text: …, weight: …} or builtin:NAME")
    texts = members(where, kind, text.removeprefix(BUILTIN)) if text.startswith(BUILTIN) else (text,)
    try:
        yield from (parse(one, 1.0 if weight is None else weight / len(texts)) for one in texts)
    except BadTemplate as error:
        known = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise UsageFault(where, f"{text!r}: {error}", f"{known}; {{NAME}} for a name in braces") from error


def members(where: str, kind: str, name: str) -> tuple[str, ...]:
    """The texts of a ready-made set for a kind."""
    fitting = {known: texts[kind] for known, texts in SETS.items() if kind in texts}
    if name not in fitting:
        near = get_close_matches(name, fitting, n=1)
        cure = f"did you mean {BUILTIN}{near[0]}?" if near else ""
        expected = "one of " + ", ".join(f"{BUILTIN}{known}" for known in fitting)
        raise UsageFault(where, f"no set {BUILTIN}{name} for {kind}", expected, cure)
    return fitting[name]
