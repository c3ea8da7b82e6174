"""Globs over relative paths, matched in time linear in the path: a glob may come with data from strangers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

TOKENS = re.compile(r"\*\*/|\*\*|.", re.DOTALL)
INSIDE = "inside"
"""Within the folders that `**/` stands for."""


@lru_cache(maxsize=65536)
def matches(glob: str, path: str) -> bool:
    """Whether a glob matches a path, or a folder above it: `**` over folders, `*` and `?` within a name.

    A glob without a slash, but for one at its end, matches at any depth.
    """
    text = glob.removeprefix("./").rstrip("/")
    if "/" not in text:
        text = "**/" + text
    tokens: list[str] = []
    for token in TOKENS.findall(text.removeprefix("/")):
        tokens += [token, INSIDE] if token == "**/" else [token]
    states = closed(tokens, {0})
    for character in path:
        states = closed(tokens, {after for state in states for after in follow(tokens, state, character)})
    return not states.isdisjoint({len(tokens), len(tokens) + 1})


def closed(tokens: list[str], states: Iterable[int]) -> set[int]:
    """The states, and those that are reached from them without a character."""
    result: set[int] = set()
    left = list(states)
    while left:
        state = left.pop()
        if state in result:
            continue
        result.add(state)
        token = tokens[state] if state < len(tokens) else ""
        if token in ("*", "**"):
            left.append(state + 1)
        elif token == "**/":
            left += [state + 1, state + 2]
    return result


def follow(tokens: list[str], state: int, character: str) -> tuple[int, ...]:
    """The states after one more character; the one past the end is inside a folder that matched."""
    if state >= len(tokens):
        return (len(tokens) + 1,) if state > len(tokens) or character == "/" else ()
    token = tokens[state]
    if token == INSIDE:
        return (state, state + 1) if character == "/" else (state,)
    if token == "**" or (token == "*" and character != "/"):
        return (state,)
    return (state + 1,) if token == character or (token == "?" and character != "/") else ()
