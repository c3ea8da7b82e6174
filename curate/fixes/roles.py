"""Roles: other words for the roles that the entry names, and turns that stand out of order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from curate.fixes.protocol import CannotMend, Case, Mend
from curate.fixes.turns import entries_of
from validators.model import MediaKind, Role
from validators.rules.fixable import Safety
from validators.sources.dataset_info import ROLE_TAGS, DatasetEntry

ALIASES: Mapping[str, Role] = {
    "user": Role.USER,
    "human": Role.USER,
    "usr": Role.USER,
    "prompter": Role.USER,
    "assistant": Role.ASSISTANT,
    "gpt": Role.ASSISTANT,
    "bot": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "chatgpt": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "tool": Role.OBSERVATION,
    "tool_response": Role.OBSERVATION,
    "observation": Role.OBSERVATION,
    "ipython": Role.OBSERVATION,
    "function_call": Role.FUNCTION,
    "tool_call": Role.FUNCTION,
    "tool_calls": Role.FUNCTION,
}
"""Words that mean one thing in all data; `function` does not: a call to some, its result to others."""
TAG_OF = {role: tag for tag, role in ROLE_TAGS.items()}


def role_of(word: object) -> Role | None:
    """What a word in the data means, however it is capitalised."""
    return ALIASES.get(word.strip().lower().replace("-", "_")) if isinstance(word, str) else None


def roles_renamed(case: Case) -> Iterator[Mend]:
    """Other words for roles, by the words that the tags have."""
    column, key = case.entry.columns["messages"] or "", case.entry.tags["role_tag"] or ""
    names = case.entry.role_names()
    messages = case.value.get(column)
    renamed: dict[str, str] = {}
    turns: list[object] = []
    for message in messages if isinstance(messages, list) else ():
        word = message.get(key) if isinstance(message, Mapping) else None
        if not isinstance(message, Mapping) or (isinstance(word, str) and word in names):
            turns.append(message)
            continue
        role = role_of(word)
        if role is None:
            raise CannotMend(f"{word!r} is no common word for a role")
        name = case.entry.tags[TAG_OF[role]]
        if name is None:
            raise CannotMend(f"the entry has no {TAG_OF[role]}")
        renamed[str(word)] = name
        turns.append({**message, key: name})
    if renamed:
        words = ", ".join(f"{old!r} made {new!r}" for old, new in renamed.items())
        yield Mend({**case.value, column: turns}, f"roles: {words}", Safety.SAFE)


def turns_in_order(case: Case) -> Iterator[Mend]:
    """A conversation that begins with a question and ends with an answer, neighbours of one role joined."""
    entry = case.entry
    column, role_key, content_key = entry.columns["messages"] or "", entry.tags["role_tag"], entry.tags["content_tag"]
    messages = case.value.get(column)
    if entry.formatting == "alpaca" or role_key is None or content_key is None or not isinstance(messages, list):
        return
    names = entry.role_names()
    if not all(isinstance(item, dict) and isinstance(item.get(content_key), str) for item in messages):
        raise CannotMend("a turn is no text")
    turns: list[dict[str, object]] = list(messages)
    done: list[str] = []
    systems = [item for item in turns if names.get(role_word(item, role_key)) == Role.SYSTEM]
    lead = systems[:1] if turns[:1] == systems[:1] else []
    if len(systems) == 1 and not lead:
        lead = systems
        done.append("the system turn moved to the front")
    elif len(systems) > len(lead):
        raise CannotMend("several system turns")
    talk = [item for item in turns if all(item is not system for system in systems)]
    joined = join_neighbours(talk, role_key, content_key)
    if len(joined) < len(talk):
        count = len(talk) - len(joined)
        done.append(f"{count} turn{'' if count == 1 else 's'} joined to the one of the same role before")
    questions, answers = entry.accepted()
    start, stop = 0, len(joined)
    while start < stop and role_word(joined[start], role_key) in answers:
        start += 1
    while stop > start and role_word(joined[stop - 1], role_key) in questions:
        stop -= 1
    if start or stop < len(joined):
        done.append(dropped_words(start, len(joined) - stop))
    if start == stop:
        raise CannotMend("no question with its answer is left")
    row = {**case.value, column: lead + joined[start:stop]}
    for kind in MediaKind:
        row |= without_media(case, kind, joined, start, stop, content_key)
    yield Mend(row, "; ".join(done), Safety.UNSAFE)


def role_word(message: Mapping[str, object], key: str) -> str | None:
    """A message's role as it is written."""
    word = message.get(key)
    return word if isinstance(word, str) else None


def join_neighbours(turns: list[dict[str, object]], role_key: str, content_key: str) -> list[dict[str, object]]:
    """Texts of neighbouring turns of one role, a line each."""
    joined: list[dict[str, object]] = []
    for turn in turns:
        if joined and joined[-1].get(role_key) == turn.get(role_key) and joined[-1].keys() == turn.keys():
            joined[-1] = {**joined[-1], content_key: f"{joined[-1][content_key]}\n{turn[content_key]}"}
        else:
            joined.append(turn)
    return joined


def dropped_words(first: int, last: int) -> str:
    """What was taken off both ends."""
    parts = []
    if first:
        parts.append("the answer at the start taken out" if first == 1 else f"{first} answers at the start taken out")
    if last:
        parts.append("the question at the end taken out" if last == 1 else f"{last} questions at the end taken out")
    return "; ".join(parts)


def without_media(
    case: Case, kind: MediaKind, turns: list[dict[str, object]], start: int, stop: int, content_key: str
) -> dict[str, object]:
    """The media list without the entries of the turns that went, where tags and entries agree."""
    counts = [str(turn[content_key]).count(kind.tag) for turn in turns]
    entries = entries_of(case.value, case.entry, kind)
    gone_before, kept = sum(counts[:start]), sum(counts[start:stop])
    column = case.entry.media_column(kind)
    if column is None or sum(counts) == kept or sum(counts) != len(entries):
        return {}
    return {column: entries[gone_before : gone_before + kept]}


def tags_renamed(entry: DatasetEntry, words: set[str]) -> dict[str, str] | None:
    """Tags that name the words which the data use throughout; None where the entry's own are among them."""
    known = {word: role_of(word) for word in words}
    own = {entry.tags["user_tag"], entry.tags["assistant_tag"]}
    if None in known.values() or own & words or len(set(known.values())) < len(known):
        return None
    named = {TAG_OF[role]: word for word, role in known.items() if role is not None}
    return named if {"user_tag", "assistant_tag"} <= named.keys() else None
